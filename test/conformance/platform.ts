/** What an example does on its platform: a real server in a process of its own, on a real PostgreSQL. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { stripVTControlCharacters } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { signStripe } from "../../src/sources/stripe.ts";
import { until } from "../support/database.ts";
import { type TestDatabase, testDatabase } from "../support/instance.ts";

export const SECRET = "whsec_platform";
export const event = (id: string): string =>
  JSON.stringify({ id, type: "payment_intent.succeeded", data: { object: { metadata: { sku: "tea" } } } });
export const signed = (body: string, secret = SECRET): Record<string, string> => ({
  ...signStripe(body, secret, Date.now()),
  "content-type": "application/json; charset=utf-8",
});

const SESSIONS =
  "select from pg_stat_activity where datname = current_database() and concat(query, ' ', wait_event) like $1";

export interface Platform {
  readonly program: string;
  readonly words: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The path of the inbox. @default "/hooks/stripe" */
  readonly path?: string;
  /** Exit code and signal of a process that ended as it should. @default [0, null] */
  readonly ends?: readonly [number | null, NodeJS.Signals | null];
  /** Whether a body that is half read when the server closes is given up: 503, and the sender comes again. @default false */
  readonly givesUpHalf?: boolean;
  /** Whether the workers stop before the server does, and not after it. @default false */
  readonly workersFirst?: boolean;
}

/** The process of an example and where it listens. Ends with the test. */
export async function begin({ program, words, cwd, env }: Platform, url: string) {
  const child = spawn(program, words, {
    cwd,
    env: {
      ...process.env,
      NODE_ENV: "production",
      DATABASE_URL: url,
      STRIPE_WEBHOOK_SECRET: SECRET,
      PORT: "0",
      ...env,
    },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  onTestFinished(() => void child.kill("SIGKILL"));
  const port = (): string | undefined => /(?:port: |localhost:)(\d+)/.exec(stripVTControlCharacters(said))?.[1];
  await until("it listens", () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${said}`);
    return port() !== undefined;
  });
  return { child, base: `http://127.0.0.1:${port()}`, said: () => said };
}

async function ended(child: ChildProcess): Promise<readonly [number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return [child.exitCode, child.signalCode];
}

/** A request by hand, whose body may come in parts, or not at all. */
function byHand(url: string, headers: readonly string[], body = "", method = "POST") {
  const { port, pathname } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  const left = new Promise<void>((resolve) =>
    socket.write([`${method} ${pathname} HTTP/1.1`, "Host: x", ...headers, "", body].join("\r\n"), () => resolve()),
  );
  let said = "";
  const answer = new Promise<string>((resolve) => {
    socket.on("data", (chunk) => {
      said += String(chunk);
      if (said.includes("}")) socket.destroy();
    });
    socket.on("error", () => {}).on("close", () => resolve(said));
  });
  return { left, answer, rest: (text: string) => socket.write(text) };
}

/** The tables of the examples, and ours: in production nothing creates them. */
export function platformDatabase(): TestDatabase {
  const db = testDatabase();
  beforeAll(async () => {
    await db.rows("create table sale (event text, sku text)");
    await db.rows("create table report (day text)");
    // Holds a handler until the test lets it go.
    await db.rows("create table gate (event text)");
    await db.rows(`create function hold() returns trigger language plpgsql as $$
      begin
        while not exists (select from gate where event = new.event) loop
          perform pg_sleep(0.01);
        end loop;
        return new;
      end $$`);
    await db.rows(
      "create trigger hold before insert on sale for each row when (new.event like 'evt_last_%') execute function hold()",
    );
    const nt = db.open();
    await nt.ready();
    await nt.stop();
  });
  return db;
}

export function platformConformance(name: string, db: TestDatabase, platform: () => Platform): void {
  test(`${name}: takes messages, works, and ends when it is told to`, async () => {
    const { path = "/hooks/stripe", ends = [0, null], givesUpHalf = false, workersFirst = false, ...rest } = platform();
    const { child, base, said } = await begin({ ...rest }, db.url);
    const url = base + path;
    const post = async (body: string, headers = signed(body)) => {
      const answer = await fetch(url, { method: "POST", body, headers });
      return [answer.status, (await answer.json()) as { status: string }] as const;
    };
    const ids = (kind: string) => [1, 2, 3].map((n) => `evt_${kind}_${name}_${n}`);
    const sales = async (id: string) => (await db.rows("select from sale where event = $1", [id])).length;

    // Three messages, three copies of each at the same time: each takes effect once.
    const good = ids("good");
    const answers = await Promise.all([...good, ...good, ...good].map((id) => post(event(id))));
    expect(answers.map(([status]) => status)).toEqual(answers.map(() => 200));
    expect(answers.filter(([, { status }]) => status === "accepted")).toHaveLength(3);
    await until("all took effect", async () => (await Promise.all(good.map(sales))).every((n) => n > 0));

    // What is refused is refused in our words, and takes no effect.
    const bad = event(`evt_bad_${name}`);
    expect(await post(bad, signed(bad, "whsec_other"))).toMatchObject([401, { status: "refused" }]);
    expect(await post(bad, signed(`${bad} `))).toMatchObject([401, { status: "refused" }]);
    const lines = (body: string) => Object.entries(signed(body)).map(([header, value]) => `${header}: ${value}`);
    const twice = byHand(url, [...lines(bad), lines(bad)[0] as string, `Content-Length: ${bad.length}`], bad);
    expect(await twice.answer).toMatch(/^HTTP\/1\.1 401 .*repeated-header/s);
    const limit = 1_048_576;
    expect(await byHand(url, [`Content-Length: ${limit + 1}`]).answer).toMatch(/^HTTP\/1\.1 413 .*too-large/s);
    // No length in front, a byte more than is allowed, and no end: all of it is read before the answer.
    const chunked = `${limit.toString(16)}\r\n${"x".repeat(limit)}\r\n1\r\nx`;
    expect(await byHand(url, ["Transfer-Encoding: chunked"], chunked).answer).toMatch(/^HTTP\/1\.1 413 .*too-large/s);
    // The bytes are what counts: neither a type of no parser nor JSON that is none is anybody's business before the signature.
    const odd = event(`evt_odd_${name}`).replace('"tea"', '"t\\u0065a", "n": 1e999, "x": "\\ud800"');
    expect(await post(odd, { ...signed(odd), "content-type": "application/vnd.odd" })).toMatchObject([200, {}]);
    await until("it took effect", async () => (await sales(`evt_odd_${name}`)) > 0);

    // The other routes have bodies as ever, and jobs are run.
    const day = `day of ${name}`;
    const report = await fetch(`${base}/reports`, {
      method: "POST",
      body: JSON.stringify({ day }),
      headers: { "content-type": "application/json" },
    });
    expect([report.status, await report.json()]).toMatchObject([202, { kind: "accepted" }]);
    await until("the job ran", async () => (await db.rows("select from report where day = $1", [day])).length > 0);

    // The process is told to end while a handler runs and a request is half read: both end first, and nothing is left behind.
    const [last, late] = [`evt_last_${name}`, `evt_late_${name}`];
    expect(await post(event(last))).toMatchObject([200, { status: "accepted" }]);
    const sessions = async (like: string) => (await db.rows(SESSIONS, [like])).length;
    await until("the handler is held", async () => (await sessions("%insert into sale%PgSleep")) > 0);
    const listens = async () => (await sessions("listen nevertwice_%")) > 0;
    expect(await listens()).toBe(true);
    const half = byHand(
      url,
      [...lines(event(late)), `Content-Length: ${event(late).length}`],
      event(late).slice(0, 20),
    );
    // What is asked on a connection that was made later has been answered: the half has been seen.
    await half.left;
    expect(await byHand(url, ["Connection: close"], "", "GET").answer).toMatch(/^HTTP\/1\.1 40[45] /);
    child.kill("SIGTERM");
    const refuses = () =>
      fetch(url).then(
        () => false,
        () => true,
      );
    await until("it has begun to end", async () => (await refuses()) || !(await listens()));
    if (!givesUpHalf) expect(await listens()).toBe(!workersFirst);
    half.rest(event(late).slice(20));
    expect(await half.answer).toMatch(givesUpHalf ? /^HTTP\/1\.1 503 .*again/s : /^HTTP\/1\.1 200 .*accepted/s);
    await until("it claims nothing more", async () => !(await listens()));
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    await db.rows("insert into gate values ($1)", [last]);
    expect(await ended(child), said()).toEqual(ends);
    expect(await sales(last), said()).toBe(1);
    // What was accepted so late took effect or waits for whoever works next.
    const left = "select m.key from nevertwice.delivery d join nevertwice.message m on m.id = d.message_id";
    const waiting = (await db.rows<{ key: string }>(left)).map(({ key }) => key);
    expect(waiting, said()).toEqual(givesUpHalf || (await sales(late)) === 1 ? [] : [late]);
    await db.rows("delete from nevertwice.delivery");
    for (const id of [...good, `evt_odd_${name}`]) expect(await sales(id)).toBe(1);
    expect(await db.rows("select from sale where event like '%bad%'")).toEqual([]);
  });
}
