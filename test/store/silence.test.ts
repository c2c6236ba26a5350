import { connect, createServer, type Socket } from "node:net";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { defaults } from "../../src/core/defaults.ts";
import { PostgresStore } from "../../src/store/postgres.ts";
import { openStore } from "../../src/store/open.ts";
import { until } from "../support/database.ts";
import { made } from "../conformance/store.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";
import { testStores } from "../support/store.ts";

const db = testDatabase();
const stores = testStores(db);
const usualMs = defaults.statementDeadlineMs;
/** For the statements that must not be answered; those that must be have their usual time, on a slow machine too. */
const deadline = (ms: number) => void Object.assign(defaults, { statementDeadlineMs: ms });

// A line that goes dead without a word: no FIN, no RST, as when a host or a firewall vanishes.
const sockets = new Set<Socket>();
const server = createServer((client) => {
  const { hostname, port } = new URL(db.url);
  const far = connect(Number(port), hostname);
  for (const [from, to] of [
    [client, far],
    [far, client],
  ] as const) {
    sockets.add(from);
    from.on("data", (chunk) => void (silent.has(client) || to.write(chunk)));
    from.on("error", () => {});
    from.on("close", () => void (silent.has(client) || to.destroy()));
  }
  lines.set(client, far);
});
const lines = new Map<Socket, Socket>();
const silent = new Set<Socket>();
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

function url(): string {
  const through = new URL(db.url);
  through.hostname = "127.0.0.1";
  through.port = String((server.address() as { port: number }).port);
  return through.href;
}
/** All lines that there are now, or the one that the server sees at this port. */
function silence(port?: number): void {
  for (const [line, far] of lines) if (port === undefined || far.localPort === port) silent.add(line);
}

// porsager/postgres#1186: queries of a connection that had died stayed pending for ever, and the work they were to settle
// with them. Each statement of ours has a deadline of its own, after which its connection is destroyed.
test("a settlement on a line that went dead ends by its deadline, and the next one settles on another line", async () => {
  const beside = await stores.open();
  const mine = await stores.one(beside, await stores.consumer(beside));
  const store = await openStore(url(), { schema: "nevertwice", logger: keepingLogger() });
  await store.inspect();
  silence();
  const settle = () => store.settle([{ ...mine, outcome: "completed", ranMs: 1 }], "w");
  deadline(1_500);
  await expect(settle()).rejects.toThrow(/NT_DATABASE_AWAY.*1500 ms/);
  deadline(usualMs);
  expect(await settle()).toEqual(new Set([mine.deliveryId]));
  // Accepts share one connection: it is given up as well.
  await store.accept([made(mine.consumer)]);
  silence();
  deadline(1_500);
  await expect(store.accept([made(mine.consumer)])).rejects.toThrow("NT_DATABASE_AWAY");
  deadline(usualMs);
  expect((await store.accept([made(mine.consumer)]))[0]?.kind).toBe("accepted");
  await store.close();
});

// The line of a group went dead in the middle of a handler. The handler was told by its timeout, but the group waited for the
// answer to "rollback to savepoint", its neighbours with it, and their leases were renewed: nothing of it ever ran again.
test("a group on a line that went dead is given up, and its members run again on another line", async () => {
  deadline(1_500);
  Object.assign(defaults, { commitTimeoutMs: 1_500 });
  const nt = db.open({ database: url(), leaseMs: 2_000 });
  let first = true;
  nt.on("dead-line", { timeoutMs: 2_000, retry: { baseMs: 1, maxMs: 5 } }, async ({ i }: { i: number }, { tx }) => {
    await tx.query("insert into effect (name, n) values ('dead-line', $1)", [i]);
    if (i < 5 || !first) return;
    first = false;
    const { rows } = await tx.query<{ port: number }>("select inet_client_port() as port");
    silence(rows[0]?.port);
    await tx.query("select 1");
  });
  await nt.sendMany(Array.from({ length: 10 }, (_, i) => ({ topic: "dead-line", payload: { i } })));
  await nt.start();
  await until(
    "all settled",
    async () =>
      (
        await db.rows(
          "select from nevertwice.delivery d join nevertwice.message m on m.id = d.message_id where m.topic = 'dead-line'",
        )
      ).length === 0,
  );
  deadline(usualMs);
  const found = await db.rows<{ n: number }>("select n from effect where name = 'dead-line' order by n");
  expect(found.map((row) => row.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

// A pool's idle connection had gone dead; the handler's transaction began on it, for as long as the system went on trying.
test("a transaction that begins on a line that went dead is refused by the deadline, and the next one begins", async () => {
  const pool = new pg.Pool({ connectionString: url(), max: 1 });
  const store = new PostgresStore(pool, { schema: "nevertwice", logger: keepingLogger() });
  await store.inspect();
  silence();
  const begin = () => store.begin({ idleMs: 10_000, lockMs: 1_000, statementMs: 10_000 }, "w");
  deadline(1_500);
  await expect(begin()).rejects.toThrow("NT_DATABASE_AWAY");
  deadline(usualMs);
  await (await begin()).rollback();
  await pool.end();
});
