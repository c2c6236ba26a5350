// An outside service that does what it is asked once for each idempotency key, as Stripe and others do, and has bad moments.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { StepTools } from "nevertwice";

/** What becomes of one request: it is done; it is done and the answer is lost; it is refused with a status, and nothing is done. */
export type Fate = "done" | "lost" | { readonly status: number; readonly headers?: Readonly<Record<string, string>> };

export interface Provider extends AsyncDisposable {
  readonly url: string;
  /** The idempotency key of each request that came. */
  readonly requests: readonly string[];
  /** What took effect, by idempotency key. */
  readonly effects: ReadonlyMap<string, any>;
}

/** `fate` decides by the number of the request, from 1, and by its body. Without it all goes well. */
export async function startProvider(fate: (request: number, body: any) => Fate = () => "done"): Promise<Provider> {
  const requests: string[] = [];
  const effects = new Map<string, any>();
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    const key = String(req.headers["idempotency-key"]);
    const number = requests.push(key);
    const decided = fate(number, body);
    if (typeof decided === "object") return res.writeHead(decided.status, { ...decided.headers }).end();
    if (!effects.has(key)) effects.set(key, body);
    if (decided === "lost") return res.destroy();
    const id = [...effects.keys()].indexOf(key) + 1;
    return res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ id }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    effects,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Asks a service for something, from within a step; the id that it answers. Whatever goes wrong is thrown: the step is tried again. */
export async function ask(url: string, body: object, { idempotencyKey, signal }: StepTools): Promise<number> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "idempotency-key": idempotencyKey, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
  });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  return ((await answer.json()) as { id: number }).id;
}
