// What the engine does, on whatever runtime runs this, with the package as npm made it. Ends with 0 when all of it held.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import pg from "pg";
import { Nevertwice, RetryError, TerminalError } from "nevertwice";
import { github, signGithub, signStripe, standardWebhooks, stripe } from "nevertwice/sources";

const database = process.env["DATABASE_URL"]!;
const pool = new pg.Pool({ connectionString: database, max: 4 });
const rows = async (text: string, values?: unknown[]) => (await pool.query(text, values)).rows;
const until = async (what: string, condition: () => Promise<boolean>) => {
  for (let i = 0; i < 3_000; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`did not come: ${what}`);
};
const settled = (topic: string) =>
  until(`${topic} is settled`, async () => {
    const text =
      "select from nevertwice.delivery d join nevertwice.message m on m.id = d.message_id where m.topic = $1";
    return (await rows(text, [topic])).length === 0;
  });
const effects = async (name: string) =>
  (await rows("select n from effect where name = $1 order by n", [name])).map((one) => one.n);
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

function open() {
  const nt = new Nevertwice({ database });
  const steps: string[] = [];
  nt.on<{ n: number }>(
    "order",
    { consumer: "order", retry: { baseMs: 1, maxMs: 5 } },
    async ({ n }, { tx, step, send, attempt }) => {
      const key = await step.run("charge", ({ idempotencyKey }) => (steps.push(idempotencyKey), { idempotencyKey }));
      await tx.query("insert into effect (name, n) values ('order', $1)", [n]);
      if (n % 10 === 0 && attempt === 1) throw new RetryError("once more", { afterMs: 1 });
      await send("ordered", { n, key });
    },
  );
  nt.on<{ n: number }>("ordered", { consumer: "ordered" }, async ({ n }, { tx }) => {
    await tx.query("insert into effect (name, n) values ('ordered', $1)", [n]);
  });
  nt.on("hopeless", { consumer: "hopeless" }, () => {
    throw new TerminalError("never");
  });
  nt.on("forever", { consumer: "forever", timeoutMs: 200, retry: { maxAttempts: 1 } }, async (_, { tx, signal }) => {
    await tx.query("insert into effect (name, n) values ('forever', 1)");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  nt.onBatch<{ n: number }>("batch", { consumer: "batch" }, async (members, { tx }) => {
    for (const { event } of members) await tx.query("insert into effect (name, n) values ('batch', $1)", [event.n]);
  });
  const double = nt.job<{ n: number }, { twice: number }>("double", {}, ({ n }) => ({ twice: n * 2 }));
  return { nt, steps, double };
}

// A worker.
{
  const { nt, steps, double } = open();
  await nt.start();
  await nt.sendMany(numbers(200).map((n) => ({ topic: "order", payload: { n } })));
  await nt.sendMany(numbers(50).map((n) => ({ topic: "batch", payload: { n } })));
  await nt.send("hopeless", 1);
  await nt.send("forever", 1);
  const job = await double.enqueue({ n: 21 });
  assert.deepEqual(await job.result({ timeoutMs: 30_000 }), { twice: 42 });
  for (const topic of ["order", "ordered", "batch", "hopeless", "forever"]) await settled(topic);
  assert.deepEqual(await effects("order"), numbers(200));
  assert.deepEqual(await effects("ordered"), numbers(200));
  assert.deepEqual(await effects("batch"), numbers(50));
  assert.deepEqual(await effects("forever"), []);
  assert.equal(steps.length, 200, "a recorded step is not run again");
  assert.equal((await rows("select from nevertwice.dead_letter")).length, 2);

  // In a transaction of one's own: leaves with it, or not at all.
  for (const [end, n] of [
    ["rollback", 1_000],
    ["commit", 1_001],
  ] as const) {
    const client = await pool.connect();
    await client.query("begin");
    await nt.send("ordered", { n }, { tx: client });
    await client.query(end);
    client.release();
  }
  await until("the committed one", async () => (await effects("ordered")).includes(1_001));
  assert.ok(!(await effects("ordered")).includes(1_000));
  await nt.stop();
}

// Every kind of signature.
{
  const { nt } = open();
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64");
  const inboxes = {
    stripe: nt.inbox("stripe", stripe({ secret: "whsec_engine" })),
    github: nt.inbox("github", github({ secret: "github" })),
    standard: nt.inbox("standard", standardWebhooks({ secret: `whpk_${raw}` })),
  };
  const body = `{"id":"evt_${randomBytes(4).toString("hex")}","type":"t"}`;
  const time = String(Math.floor(Date.now() / 1_000));
  const signature = sign(null, Buffer.from(`msg_1.${time}.${body}`), privateKey).toString("base64");
  const headers = {
    stripe: signStripe(body, "whsec_engine", Date.now()),
    github: signGithub(body, "github", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "push"),
    standard: { "webhook-id": "msg_1", "webhook-timestamp": time, "webhook-signature": `v1a,${signature}` },
  };
  for (const name of ["stripe", "github", "standard"] as const) {
    const post = (sent: string) =>
      inboxes[name].receive(new Request("http://x/", { method: "POST", body: sent, headers: headers[name] }));
    const [answer, copy, forged] = [await post(body), await post(body), await post(`${body} `)];
    assert.ok(answer.ok, `${name}: ${answer.status} ${await answer.text()}`);
    assert.equal(((await copy.json()) as { status: string }).status, "duplicate", name);
    assert.equal(forged.status, 401, name);
  }
  await nt.stop();
}

// For a while.
{
  const { nt } = open();
  await nt.sendMany(numbers(20).map((n) => ({ topic: "ordered", payload: { n: 2_000 + n } })));
  const { ran, more } = await nt.runDue({ maxMs: 30_000 });
  assert.deepEqual({ ran, more }, { ran: 20, more: false });
  assert.equal((await effects("ordered")).filter((n: number) => n >= 2_000).length, 20);
  await nt.stop();
}
await pool.end();
console.log("all of it held");
