// Payout: the process is killed between the bank's transfer and the record of it. Another one goes on, and the money moves once.
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Nevertwice } from "nevertwice";
import { openDatabase } from "./shared/database.ts";
import { ask, startProvider } from "./shared/provider.ts";

interface Payout {
  readonly seller: string;
  readonly cents: number;
}

/** What runs in every process. A lease of two seconds, so that nobody waits ten for the example. */
function shop(url: string, bank: string) {
  const nt = new Nevertwice({ database: url, leaseMs: 2_000 });
  const payout = nt.job("payout", {}, async (input: Payout, { step, tx }) => {
    // Asked again after a crash, the bank knows the key: it is the same for every attempt.
    const transfer = await step.run("transfer", (tools) => ask(bank, input, tools));
    await tx.query("insert into booking values ($1, $2, $3)", [input.seller, input.cents, transfer]);
    return transfer;
  });
  return { nt, payout };
}

if (process.argv[2] === "worker") {
  await shop(process.argv[3] as string, process.argv[4] as string).nt.start();
  process.once("disconnect", () => process.exit(0));
  process.send?.("started");
} else await play();

async function play(): Promise<void> {
  await using database = await openDatabase("create table booking (seller text, cents int, transfer int)");
  const workers: ChildProcess[] = [];
  let killed = 0;
  // The bank has moved the money, and the process that asked is killed before it hears of it.
  await using bank = await startProvider((request) => {
    if (request > 1) return "done";
    for (const worker of workers) if (worker.kill("SIGKILL")) killed++;
    return "lost";
  });
  const work = async (): Promise<{ exited: Promise<unknown> }> => {
    const worker = fork(import.meta.filename, ["worker", database.url, bank.url]);
    workers.push(worker);
    const exited = once(worker, "exit");
    await once(worker, "message");
    return { exited };
  };
  const { nt, payout } = shop(database.url, bank.url);
  const { exited } = await work();
  // Twice: somebody clicked "pay out" again.
  const enqueue = () => payout.enqueue({ seller: "ada", cents: 12_300 }, { key: "ada/2026-11" });
  const [first, second] = [await enqueue(), await enqueue()];
  await exited;
  await work();
  const transfer = await first.result({ timeoutMs: 60_000 });
  workers.at(-1)?.disconnect();
  await nt.stop();

  assert.deepEqual([first.kind, second.kind, killed], ["accepted", "duplicate", 1]);
  assert.equal(new Set(bank.requests).size, 1);
  assert.deepEqual([...bank.effects.values()], [{ seller: "ada", cents: 12_300 }]);
  assert.deepEqual(await database.rows("select * from booking"), [{ seller: "ada", cents: 12_300, transfer }]);
  console.log(
    `payout: asked for twice, ${killed} worker killed, ${bank.requests.length} requests under one key, paid once`,
  );
}
