// The fake provider: logs every request, charges once for each idempotency key, and now and then fails or hangs up.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export class Provider {
  /** By message: the keys that were charged. */
  readonly charged = new Map<string, Set<string>>();
  /** Requests for a step that were made after its result was recorded. */
  afterRecorded = 0;
  requests = 0;
  url = "";
  readonly #recorded = new Map<string, number>();
  readonly #random: () => number;
  readonly #server = createServer((req, res) => {
    const key = String(req.headers["idempotency-key"]);
    const message = decodeURIComponent((req.url ?? "/").slice(1));
    this.requests++;
    // Made before, and on its way while its process stood frozen: no different from a slow network.
    if (Number(req.headers["x-made-at"]) > (this.#recorded.get(key) ?? Infinity)) this.afterRecorded++;
    if (this.#random() < 0.03) {
      res.writeHead(500).end();
      return;
    }
    const keys = this.charged.get(message) ?? new Set();
    this.charged.set(message, keys.add(key));
    if (this.#random() < 0.03) res.destroy();
    else res.end(key);
  });

  constructor(random: () => number) {
    this.#random = random;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  record(key: string): void {
    if (!this.#recorded.has(key)) this.#recorded.set(key, Date.now());
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
