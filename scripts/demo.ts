// `npm start`: the server on the embedded database, and the demo: real webhooks, copies, forgeries, a killed worker, and the
// account of what took effect, next to the same traffic sent to the handler that everybody writes by hand.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { startEmbedded } from "nevertwice/embedded";
import pg from "pg";
import { account, type Account } from "../examples/demo/account.ts";
import { plan } from "../examples/demo/plan.ts";
import { type Running, startProcess, stopProcesses } from "../examples/demo/processes.ts";
import { Senders, type Target } from "../examples/demo/senders.ts";

const PLAY_MS = 10_000;
const SETTLE_MS = 40_000;

const home = path.resolve(".nevertwice");
const folder = path.join(home, "demo");
mkdirSync(folder, { recursive: true });
const files = { sent: path.join(folder, "sent.jsonl"), provider: path.join(folder, "provider.jsonl") };

const given = process.env["DATABASE_URL"] ?? "";
const embedded = given === "" ? await startEmbedded({ folder: home }) : undefined;
const url = embedded?.url ?? given;
const pool = new pg.Pool({ connectionString: url, max: 4 });
pool.on("error", () => {});
const stopping = { asked: false };
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());

const secrets = readSecrets();
await pool.query(await readFile(new URL("../examples/shop/tables.sql", import.meta.url), "utf8"));
await pool.query(await readFile(new URL("../examples/by-hand/tables.sql", import.meta.url), "utf8"));

const provider = await start("demo/provider", { PROVIDER_LOG: files.provider });
const shopEnv = {
  DATABASE: embedded === undefined ? url : `embedded:${home}`,
  STRIPE_WEBHOOK_SECRET: secrets.stripe,
  GITHUB_WEBHOOK_SECRET: secrets.github,
  PROVIDER_URL: `${provider.url}/shop`,
};
const handEnv = { ...shopEnv, DATABASE_URL: url, PROVIDER_URL: `${provider.url}/hand` };
const shop = await start("shop/server", shopEnv);
let [worker, , hand] = await Promise.all([
  start("shop/worker", shopEnv),
  start("shop/worker", shopEnv),
  start("by-hand/server", handEnv),
]);
const serverFile = path.join(home, "server.json");
writeFileSync(serverFile, JSON.stringify({ url: shop.url, pid: process.pid, secrets }), { mode: 0o600 });
console.log(
  `nevertwice: the shop listens on ${shop.url}${embedded === undefined ? "" : ", on the embedded database in .nevertwice"}`,
);

const again = process.argv.includes("--again");
const first = !existsSync(files.sent);
if (first || again) await play();
else console.log("nevertwice: played before; going on with what there is (npm start -- --again plays new messages)");
if (!stopping.asked) {
  const shopAccount = await settled();
  const handAccount = await account("hand", pool, files);
  await report(shopAccount, handAccount);
}

async function play(): Promise<void> {
  const messages = plan(PLAY_MS);
  const senders = new Senders(files.sent, secrets);
  const targets: readonly Target[] = [
    { side: "shop", url: (source) => `${shop.url}/in/${source}` },
    { side: "hand", url: (source) => `${hand.url}/${source}` },
  ];
  console.log(
    `nevertwice: ${messages.length} messages in ${PLAY_MS / 1_000} s, to the shop and to the handler written by hand`,
  );
  const killing = setTimeout(() => void kill(), PLAY_MS * 0.45);
  const progress = setInterval(() => {
    void account("shop", pool, files).then(
      ({ accepted, duplicates, refused, effects }) =>
        console.log(
          `  sent ${senders.requests} accepted ${accepted} duplicates ${duplicates} refused ${refused} effects ${effects}`,
        ),
      () => {},
    );
  }, 2_000);
  await senders.play(messages, targets);
  clearTimeout(killing);
  clearInterval(progress);
}

/** In the middle of it: no warning, no clean-up, as a machine that loses its power. */
async function kill(): Promise<void> {
  console.log("  SIGKILL to a worker of the shop, and to the handler written by hand; both are replaced");
  worker.kill();
  hand.kill();
  await Promise.all([
    start("shop/worker", shopEnv).then((started) => (worker = started)),
    start("by-hand/server", handEnv).then((started) => (hand = started)),
  ]);
}

/** Waits until nothing that was acknowledged is missing any more: the killed worker's lease has to end first. */
async function settled(): Promise<Account> {
  const until = performance.now() + SETTLE_MS;
  for (let told = false; ; told = true) {
    const now = await account("shop", pool, files);
    if (now.lost.length === 0 || performance.now() > until || stopping.asked) return now;
    if (!told)
      console.log(`  ${now.lost.length} not done yet: the rest waits for retries and for the killed worker's lease`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function report(ours: Account, theirs: Account): Promise<void> {
  const replays = await pool.query<{ n: number }>(
    "select count(*)::int as n from nevertwice.message where suspected_replay_of is not null",
  );
  const statuses = await pool.query<{ failed: number; processing: number }>(
    "select count(distinct event_id) filter (where status = 'failed')::int as failed, " +
      "count(distinct event_id) filter (where status = 'processing')::int as processing from by_hand.event",
  );
  const { failed = 0, processing = 0 } = statuses.rows[0] ?? {};
  const lost = ours.lost.length;
  const doubled = ours.doubled.length + Math.abs(ours.stockOff);
  console.log("");
  console.log(`  the shop, on Nevertwice         lost ${lost}, doubled ${doubled}`);
  console.log(`  the handler written by hand     lost ${theirs.lost.length}, doubled ${theirs.doubled.length}`);
  console.log(`    lost: ${failed} failed once and were answered "already processed" when they came again`);
  console.log(`    lost: ${processing} stayed in "processing" when their process was killed`);
  console.log(
    `    doubled: ${theirs.doubled.length} came twice at the same moment; both looked, found nothing, and ran`,
  );
  console.log(
    `  ${replays.rows[0]?.n ?? 0} GitHub bodies came again under other ids: accepted, and marked as suspected replays`,
  );
  console.log("  effects are counted in the shop's tables and the provider's log, message by message");
  console.log("");
  console.log("try next (in another terminal):");
  console.log("  npx nevertwice post stripe payment_intent.succeeded");
  console.log("  npx nevertwice list");
  console.log("  npx nevertwice show <id>");
  console.log("  npx nevertwice replay --dead");
  console.log("");
  const { sent, accepted, duplicates, refused, retried, dead, effects } = ours;
  console.log(
    `account: sent ${sent} accepted ${accepted} duplicates ${duplicates} refused ${refused} retried ${retried} ` +
      `dead ${dead} effects ${effects} lost ${lost} doubled ${doubled}`,
  );
}

function start(program: string, env: NodeJS.ProcessEnv): Promise<Running> {
  return startProcess(program, env, path.join(folder, `${program.replace("/", "-")}.log`));
}

/** Made once and kept, so that `nevertwice post` can sign. */
function readSecrets(): { stripe: string; github: string } {
  const file = path.join(folder, "secrets.json");
  if (!existsSync(file)) {
    const made = { stripe: `whsec_${randomBytes(24).toString("base64")}`, github: randomBytes(24).toString("hex") };
    writeFileSync(file, JSON.stringify(made), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(file, "utf8")) as { stripe: string; github: string };
}

async function stop(): Promise<void> {
  // Ctrl-C can arrive twice: from the terminal, and handed on by npm.
  if (stopping.asked) return;
  stopping.asked = true;
  await stopProcesses();
  rmSync(serverFile, { force: true });
  await pool.end();
  await embedded?.leave();
  process.exit(0);
}
