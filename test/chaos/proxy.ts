// A TCP proxy between the product and PostgreSQL that knows enough of the wire protocol to see a COMMIT, or the end of an
// accepting statement, go by, and cuts the line there.
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export const CUTS = ["before", "after", "middle", "late", "blackhole"] as const;
export type Cut = (typeof CUTS)[number];

export interface CutOutcome {
  readonly cut: Cut;
  /** `late`: whether the server was seen to commit, or had ended the session before. */
  readonly seen?: "committed" | "ended";
}

export class Proxy {
  readonly outcomes: CutOutcome[] = [];
  url = "";
  #armed: { cut: Cut; lateMs: number; accepts: boolean }[] = [];
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  /** The next COMMIT is cut in this way; or the next end of an accepting statement, where those are meant too. */
  arm(cut: Cut, lateMs: number, accepts = true): void {
    this.#armed.push({ cut, lateMs, accepts });
  }

  get waiting(): number {
    return this.#armed.length;
  }

  async start(target: string): Promise<this> {
    const { hostname, port } = new URL(target);
    this.#server = createServer((client) => this.#pair(client, connect(Number(port), hostname)));
    const server = this.#server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = new URL(target);
    url.hostname = "127.0.0.1";
    url.port = String((server.address() as AddressInfo).port);
    this.url = url.href;
    return this;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }

  #pair(client: Socket, server: Socket): void {
    let pending = Buffer.alloc(0);
    let started = false;
    let accepting = false;
    let cutting = false;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    }
    client.on("close", () => void (cutting || server.destroy()));
    server.on("close", () => void (cutting || client.destroy()));
    server.on("data", (chunk) => void (cutting || client.write(chunk)));
    client.on("data", (chunk) => {
      if (cutting) return;
      pending = Buffer.concat([pending, chunk]);
      const through: Buffer[] = [];
      for (;;) {
        // The first message has no type byte.
        const head = started ? 5 : 4;
        if (pending.length < head) break;
        const length = pending.readInt32BE(started ? 1 : 0) + (started ? 1 : 0);
        if (pending.length < length) break;
        const message = pending.subarray(0, length);
        pending = pending.subarray(length);
        if (!started) {
          started = true;
          through.push(message);
          continue;
        }
        const type = String.fromCharCode(message[0] ?? 0);
        if (type === "P") accepting = message.includes("-- accept");
        const accepted = type === "S" && accepting;
        const commits = accepted || (type === "Q" && /^commit/i.test(message.toString("latin1", 5)));
        const meant = commits && (!accepted || this.#armed[0]?.accepts === true);
        const armed = meant ? this.#armed.shift() : undefined;
        if (armed === undefined) {
          through.push(message);
          continue;
        }
        if (through.length > 0) server.write(Buffer.concat(through));
        cutting = true;
        this.#cut(armed.cut, armed.lateMs, Buffer.from(message), client, server);
        return;
      }
      if (through.length > 0) server.write(Buffer.concat(through));
    });
  }

  #cut(cut: Cut, lateMs: number, commit: Buffer, client: Socket, server: Socket): void {
    const both = (): void => {
      client.destroy();
      server.destroy();
    };
    const done = (seen?: CutOutcome["seen"]): void =>
      void this.outcomes.push(seen === undefined ? { cut } : { cut, seen });
    switch (cut) {
      case "before":
        both();
        return done();
      case "after":
        server.once("data", () => (both(), done()));
        server.once("close", () => client.destroy());
        server.write(commit);
        return;
      case "middle":
        server.write(commit.subarray(0, commit.length - 1), () => (both(), done()));
        return;
      case "late": {
        client.destroy();
        let answer = "";
        let ended = false;
        server.on("data", (chunk) => (answer += chunk.toString("latin1")));
        server.once("close", () => {
          ended = true;
        });
        setTimeout(() => {
          if (ended) return done("ended");
          answer = "";
          server.write(commit);
          server.once("close", () => done(/COMMIT\0|INSERT|SELECT \d/.test(answer) ? "committed" : "ended"));
          setTimeout(() => server.destroy(), 1_000);
        }, lateMs);
        return;
      }
      case "blackhole":
        // No FIN, no RST: the client waits until its own patience ends. The server side hangs as a lost peer does.
        client.once("close", () => (server.destroy(), done()));
        setTimeout(both, 25_000).unref();
    }
  }
}
