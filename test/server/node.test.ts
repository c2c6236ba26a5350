import { createServer, type RequestListener } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { serve } from "../../src/server/app.ts";
import { toNode } from "../../src/server/node.ts";
import { signStripe, stripe } from "../../src/sources/stripe.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const SECRET = "whsec_server";
const event = (id: string): string => `{"id":"${id}","type":"t"}`;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => void (await Promise.all(closing.splice(0).map((close) => close()))));

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** What comes back for exactly these bytes, until the server closes. */
function wire(url: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk) => (answer += String(chunk)));
    // A request that was cut off is answered, and then reset.
    socket.on("error", () => {}).on("close", () => resolve(answer));
  });
}

describe("the server", () => {
  // A rolling deploy never ended: the old process went on answering whoever had a connection and did not pause.
  test("that is closing ends, although senders keep their connections busy", async () => {
    const nt = db.open();
    nt.inbox("stripe", stripe({ secret: SECRET }));
    const serving = await serve(nt, { port: 0, host: "127.0.0.1" });
    const { port } = new URL(serving.url);
    const busy = Array.from({ length: 4 }, () => connect(Number(port), "127.0.0.1"));
    const ended = busy.map((socket) => new Promise((resolve) => socket.on("error", () => {}).once("close", resolve)));
    let answers = 0;
    for (const socket of busy) {
      const ask = (): void => void socket.write("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n");
      // The next one follows the answer at once, and takes longer than the server needs to look for idle connections.
      socket.on("connect", ask);
      socket.on("data", (chunk) => {
        for (const _ of String(chunk).matchAll(/HTTP\/1\.1 200/g)) {
          answers++;
          ask();
        }
      });
    }
    await until("all are served", () => answers > 20);
    await serving.close();
    await Promise.all(ended);
  });

  test("takes messages at /in/<inbox>, says that it is up and ready, and names the inboxes there are", async () => {
    const nt = db.open();
    nt.inbox("stripe", stripe({ secret: SECRET }));
    const serving = await serve(nt, { port: 0, host: "127.0.0.1" });
    closing.push(() => serving.close());
    const send = (path: string) =>
      fetch(serving.url + path, {
        method: "POST",
        body: event("evt_1"),
        headers: signStripe(event("evt_1"), SECRET, Date.now()),
      });
    expect((await send("/in/stripe?a=b")).status).toBe(200);
    expect(await (await send("/in/stripe")).json()).toMatchObject({ status: "duplicate" });
    const unknown = await send("/in/other");
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { expected: "an inbox: stripe" }]);
    expect((await fetch(`${serving.url}/health`)).status).toBe(200);
    expect(await (await fetch(`${serving.url}/ready`)).json()).toEqual({
      ready: true,
      database: "answers",
      worker: "none",
    });
    expect((await fetch(`${serving.url}/nothing`)).status).toBe(404);
    await expect(serve(nt, { port: serving.port, host: "127.0.0.1" })).rejects.toThrow("NT_PORT");
    const elsewhere = await serve(nt, { port: serving.port, host: "127.0.0.1", elsewhere: true });
    expect(elsewhere.port).not.toBe(serving.port);
    await elsewhere.close();
  });

  test("is not ready while the database is away", async () => {
    const serving = await serve(db.open({ database: "postgres://nobody@127.0.0.1:1/none" }), {
      port: 0,
      host: "127.0.0.1",
    });
    closing.push(() => serving.close());
    const answer = await fetch(`${serving.url}/ready`);
    expect([answer.status, await answer.json()]).toMatchObject([503, { ready: false, database: "away" }]);
  });

  test("a header line sent twice is seen twice, and a chunked body is cut off at the limit", async () => {
    const nt = db.open();
    const inbox = nt.inbox("stripe", stripe({ secret: SECRET }), { bodyLimitBytes: 100 });
    const url = await listening(toNode(inbox.receive));
    const signature = signStripe(event("evt_2"), SECRET, Date.now())["stripe-signature"];
    const line = `Stripe-Signature: ${signature}\r\n`;
    const head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    const body = `Content-Length: ${event("evt_2").length}\r\n\r\n${event("evt_2")}`;
    expect(await wire(url, head + line + line + body)).toMatch(/^HTTP\/1.1 401 .*repeated-header/s);
    expect(await wire(url, head + line + body)).toMatch(/^HTTP\/1.1 200 /);
    const chunks = `60\r\n${"x".repeat(96)}\r\n`.repeat(3);
    expect(await wire(url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`)).toMatch(/^HTTP\/1.1 413 /);
  });

  test("a body parser that ran first: a named error; one that kept the bytes is fine", async () => {
    const nt = db.open();
    const inbox = nt.inbox("stripe", stripe({ secret: SECRET }));
    const handler = toNode(inbox.receive);
    const parsed = await listening(async (req, res) => {
      for await (const _ of req);
      await handler(Object.assign(req, { body: {} }), res);
    });
    const kept = await listening(async (req, res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      await handler(Object.assign(req, { body: Buffer.concat(chunks) }), res);
    });
    const send = (url: string) =>
      fetch(url, { method: "POST", body: event("evt_3"), headers: signStripe(event("evt_3"), SECRET, Date.now()) });
    const refused = await send(parsed);
    expect([refused.status, await refused.json()]).toMatchObject([500, { code: "NT_BODY_PARSED" }]);
    expect((await send(kept)).status).toBe(200);
  });

  // Next.js' pages and serverless platforms take a handler that has returned for one that has answered.
  test("resolves when it has answered, not before", async () => {
    const inbox = db.open().inbox("stripe", stripe({ secret: SECRET }));
    const ended: boolean[] = [];
    const url = await listening(async (req, res) => {
      await toNode(inbox.receive)(req, res);
      ended.push(res.writableEnded);
    });
    await fetch(url, { method: "POST", body: event("evt_4") });
    await until("it has resolved", () => ended.length > 0);
    expect(ended).toEqual([true]);
  });

  test("any Web handler can be mounted", async () => {
    const url = await listening(
      toNode(async (request) => Response.json({ method: request.method, body: await request.text() })),
    );
    expect(await (await fetch(url, { method: "PUT", body: "hello" })).json()).toEqual({ method: "PUT", body: "hello" });
  });
});
