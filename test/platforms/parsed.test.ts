// What happens where a framework's body parser ran first: the commonest way to get webhooks wrong. The error says what to do, and the
// ways that it names work.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Inbox } from "../../src/index.ts";
import { nevertwice } from "../../src/server/fastify.ts";
import { toNode } from "../../src/server/node.ts";
import { stripe } from "../../src/sources/stripe.ts";
import { event, SECRET, signed } from "../conformance/platform.ts";
import { testDatabase } from "../support/instance.ts";
import { withFrameworks } from "../support/parts.ts";

const load = (file: string): Promise<any> =>
  import(pathToFileURL(path.resolve("compat/frameworks/node_modules", file)).href);

withFrameworks("a body parser that ran first", () => {
  const db = testDatabase();
  const inbox = (): Inbox<any> => db.open().inbox("stripe", stripe({ secret: SECRET }));
  let count = 0;
  async function post(url: string, path = "/hooks/stripe") {
    const body = event(`evt_parsed_${count++}`);
    const answer = await fetch(url + path, { method: "POST", body, headers: signed(body) });
    return [answer.status, await answer.json()] as const;
  }
  const PARSED = [500, { code: "NT_BODY_PARSED", next: expect.stringContaining("before any body parser") }];
  const ACCEPTED = [200, { status: "accepted" }];

  describe("Express", () => {
    async function app(...before: ((express: any) => unknown)[]): Promise<string> {
      const express = (await load("express/index.js")).default;
      const made = express();
      for (const one of before) made.use(one(express));
      made.post("/hooks/stripe", toNode(inbox().receive));
      return listening(made);
    }
    test("express.json() and express.text(): a named error", async () => {
      expect(await post(await app((express) => express.json()))).toMatchObject(PARSED);
      expect(await post(await app((express) => express.text({ type: "*/*" })))).toMatchObject(PARSED);
    });
    test("a parser that keeps the bytes, and one that passes by: accepted", async () => {
      const verify = (req: any, _res: unknown, bytes: Buffer): void => void (req.rawBody = bytes);
      expect(await post(await app((express) => express.json({ verify })))).toMatchObject(ACCEPTED);
      expect(await post(await app((express) => express.raw({ type: "*/*" })))).toMatchObject(ACCEPTED);
      expect(await post(await app((express) => express.json({ type: "text/plain" })))).toMatchObject(ACCEPTED);
    });
  });

  describe("Fastify", () => {
    async function app(mount: (made: any) => unknown): Promise<string> {
      const made = (await load("fastify/fastify.js")).default();
      onTestFinished(() => made.close());
      await mount(made);
      return made.listen({ port: 0, host: "127.0.0.1" });
    }
    test("a route of the app itself: a named error", async () => {
      const handle = toNode(inbox().receive);
      const url = await app((made) =>
        made.post("/hooks/stripe", (request: any, reply: any) => {
          reply.hijack();
          return handle(request.raw, reply.raw);
        }),
      );
      expect(await post(url)).toMatchObject(PARSED);
    });
    test("the plugin, whatever parsers the app and its neighbours have; theirs stay", async () => {
      const { receive } = inbox();
      const url = await app(async (made) => {
        const parse = (_request: unknown, body: Buffer, done: any): void => done(null, { parsed: body.length });
        made.addContentTypeParser("*", { parseAs: "buffer" }, parse);
        await made.register(nevertwice, { prefix: "/hooks", routes: { "/stripe": receive } });
        made.post("/json", (request: any) => request.body);
        made.post("/other", (request: any) => request.body);
      });
      expect(await post(url)).toMatchObject(ACCEPTED);
      expect(await post(url, "/json")).toMatchObject([200, { type: "payment_intent.succeeded" }]);
      const other = await fetch(`${url}/other`, { method: "POST", body: "1234", headers: { "content-type": "a/b" } });
      expect(await other.json()).toEqual({ parsed: 4 });
      const nonsense = { ...signed(event("evt_nonsense")), "content-type": "nonsense" };
      const refused = await fetch(`${url}/hooks/stripe`, {
        method: "POST",
        body: event("evt_nonsense"),
        headers: nonsense,
      });
      expect([refused.status, await refused.json()]).toMatchObject([415, { code: "FST_ERR_CTP_INVALID_MEDIA_TYPE" }]);
    });
    test("the plugin says what is wrong with its options", async () => {
      const { receive } = inbox();
      const routes = { "/hooks/stripe": receive };
      const register = async (options: object) => {
        const made = (await load("fastify/fastify.js")).default();
        onTestFinished(() => made.close());
        await made.register(nevertwice, options);
      };
      await expect(register({ routes, works: true })).rejects.toThrow(/NT_OPTION.*`works`.*Did you mean `work`/);
      await expect(register({ routes, work: true })).rejects.toThrow(/NT_OPTION.*`nt` beside `work: true`/);
    });
    test("the plugin's route under inject(), and without a body", async () => {
      const { receive } = inbox();
      const made = (await load("fastify/fastify.js")).default();
      await made.register(nevertwice, { routes: { "/hooks/stripe": receive } });
      const payload = event("evt_inject");
      const request = { method: "POST", url: "/hooks/stripe" };
      expect((await made.inject({ ...request, payload, headers: signed(payload) })).json()).toMatchObject({
        status: "accepted",
      });
      expect((await made.inject(request)).statusCode).toBe(401);
      await made.close();
    });
  });

  test("Hono: middleware that read the body is a named error; mounted before it, accepted", async () => {
    const { Hono } = await load("hono/dist/index.js");
    const { serve } = await load("@hono/node-server/dist/index.mjs");
    const { receive } = inbox();
    const app = new Hono();
    app.post("/hooks/stripe", (c: any) => receive(c.req.raw));
    app.use(async (c: any, next: any) => {
      await c.req.json();
      await next();
    });
    app.post("/after", (c: any) => receive(c.req.raw));
    const port = await new Promise<number>((resolve) => {
      const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (at: AddressInfo) => resolve(at.port));
      onTestFinished(() => server.close());
    });
    const url = `http://127.0.0.1:${port}`;
    expect(await post(url)).toMatchObject(ACCEPTED);
    expect(await post(url, "/after")).toMatchObject(PARSED);
  });

  test("Nest: a controller is behind the parser, a named error; with `rawBody: true` it is accepted", async () => {
    await load("reflect-metadata/Reflect.js");
    const { Controller, Module, Post, Req, Res } = await load("@nestjs/common/index.js");
    const { NestFactory } = await load("@nestjs/core/index.js");
    const { receive } = inbox();
    class Hooks {
      take(req: any, res: any): Promise<void> {
        return toNode(receive)(req, res);
      }
    }
    const own = Object.getOwnPropertyDescriptor(Hooks.prototype, "take");
    Controller("hooks")(Hooks);
    Post("stripe")(Hooks.prototype, "take", own);
    Req()(Hooks.prototype, "take", 0);
    Res()(Hooks.prototype, "take", 1);
    class App {}
    Module({ controllers: [Hooks] })(App);
    for (const [rawBody, expected] of [
      [false, PARSED],
      [true, ACCEPTED],
    ] as const) {
      const app = await NestFactory.create(App, { rawBody, logger: false });
      onTestFinished(() => app.close());
      await app.listen(0, "127.0.0.1");
      expect(await post(`http://127.0.0.1:${app.getHttpServer().address().port}`)).toMatchObject(expected);
    }
  });
});

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
