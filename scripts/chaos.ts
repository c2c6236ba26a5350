// `npm run chaos -- --scenario worker-kill --count 100 --seed 1 --json [--canary]`. Progress on stderr; last on stdout one
// line of JSON. Exit 1 unless nothing was lost, doubled or unexpected and all was drained; with --canary exit 1 when each
// canary was caught for its reason, 0 when one was not.
import { parseArgs } from "node:util";
import { canaries } from "../test/chaos/canaries.ts";
import { runScenario, scenarios } from "../test/chaos/scenarios.ts";
import { caught } from "../test/chaos/verdict.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    count: { type: "string", default: "20" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    json: { type: "boolean", default: false },
    canary: { type: "boolean", default: false },
  },
});
const scenario = scenarios[values.scenario ?? ""];
if (scenario === undefined) {
  console.error("npm run chaos -- --scenario S [--count N] [--seed X] [--json] [--canary], where S is");
  for (const [name, { about }] of Object.entries(scenarios)) console.error(`  ${name.padEnd(13)} ${about}`);
  process.exit(2);
}
const log = (line: string): void => console.error(line);
const url = process.env["DATABASE_URL"];
const options = {
  scenario: values.scenario as string,
  count: Number(values.count),
  seed: Number(values.seed),
  log,
  ...(url === undefined || url === "" ? {} : { url }),
};

if (values.canary) {
  let all = true;
  for (const canary of scenario.canaries) {
    const { result, unexpected } = await runScenario({ ...options, canary });
    const found = caught(canary, result, unexpected);
    log(`canary ${canary} (${canaries[canary].about}): ${found ? "caught" : "NOT CAUGHT"}: ${JSON.stringify(result)}`);
    if (values.json) console.log(JSON.stringify(result));
    all &&= found;
  }
  process.exit(all ? 1 : 0);
}
const { result, unexpected } = await runScenario(options);
for (const sentence of unexpected) log(`unexpected: ${sentence}`);
console.log(values.json ? JSON.stringify(result) : result);
const { lost, doubled, drained } = result;
process.exit(lost === 0 && doubled === 0 && unexpected.length === 0 && drained ? 0 : 1);
