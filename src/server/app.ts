/**
 * The HTTP server: `POST /in/<inbox>` takes messages, `GET /health` says that the process runs, `GET /ready` that it can
 * do its work. No rule lives here that a library user would miss: the inboxes answer for themselves.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { H3 } from "h3";
import { fault } from "../core/errors.ts";
import type { Runtime } from "../runtime/nevertwice.ts";
import { toNode } from "./node.ts";

export interface ServeOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** @default all interfaces */
  readonly host?: string;
  /** Take the next free port when this one is taken. @default false */
  readonly elsewhere?: boolean;
}

export interface Serving {
  readonly url: string;
  readonly port: number;
  /** Takes no new request, answers those under way, and resolves when the last has been answered. */
  close(): Promise<void>;
}

const IN = "/in/";
/** How often a server that is closing looks for connections that stand idle by now. */
const CLOSING_MS = 50;

/** Serves an instance. Throws NT_PORT when the port is taken. */
export async function serve(nt: Runtime, options: ServeOptions): Promise<Serving> {
  const app = pages(nt);
  const others = toNode((request: Request) => app.fetch(request));
  const inboxes = new Map<string, (req: IncomingMessage, res: ServerResponse) => Promise<void>>();
  let closing = false;
  const server = createServer((req, res) => {
    // A sender that never pauses would keep its connection, and the server with it, for ever.
    if (closing) res.setHeader("connection", "close");
    const url = req.url ?? "/";
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    if (!path.startsWith(IN)) return void others(req, res);
    const name = path.slice(IN.length);
    let handler = inboxes.get(name);
    if (handler === undefined) {
      const inbox = nt.inboxes.get(name);
      if (inbox === undefined) return notFound(req, res, [...nt.inboxes.keys()]);
      inboxes.set(name, (handler = toNode(inbox.receive)));
    }
    void handler(req, res);
  });
  // A sender that opens a connection and says nothing holds it for no longer than this.
  server.headersTimeout = 15_000;
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 65_000;
  const port = await listen(server, options);
  return {
    url: `http://${options.host ?? "127.0.0.1"}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        closing = true;
        server.closeIdleConnections();
        // What is being answered now leaves its connection idle.
        const looking = setInterval(() => server.closeIdleConnections(), CLOSING_MS);
        server.close(() => {
          clearInterval(looking);
          resolve();
        });
      }),
  };
}

function pages(nt: Runtime): H3 {
  const app = new H3();
  app.get("/health", () => ({ status: "up" }));
  app.get("/ready", async (event) => {
    const found = await nt.readiness();
    event.res.status = found.ready ? 200 : 503;
    return found;
  });
  return app;
}

function notFound(req: IncomingMessage, res: ServerResponse, known: readonly string[]): void {
  req.resume();
  const body = JSON.stringify({ status: "error", expected: `an inbox: ${known.join(", ") || "none is declared"}` });
  res.writeHead(404, { "content-type": "application/json" }).end(body);
}

async function listen(server: Server, { port, host, elsewhere = false }: ServeOptions): Promise<number> {
  for (const candidate of elsewhere ? [port, 0] : [port]) {
    const taken = await new Promise<Error | undefined>((resolve) => {
      server.once("error", resolve);
      server.listen(candidate, host, () => {
        server.removeListener("error", resolve);
        resolve(undefined);
      });
    });
    if (taken === undefined) return (server.address() as AddressInfo).port;
    if ((taken as NodeJS.ErrnoException).code !== "EADDRINUSE") throw taken;
  }
  throw fault("NT_PORT", { got: `${port}, which is taken` });
}
