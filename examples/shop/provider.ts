// The shop's client of the outside provider.

/** One outside effect; the provider charges once for each idempotency key. */
export async function provider(
  kind: "payout" | "receipt" | "mail",
  event: string,
  amount: number,
  { idempotencyKey, signal }: { idempotencyKey: string; signal: AbortSignal },
): Promise<string> {
  const response = await fetch(`${process.env["PROVIDER_URL"]}/${kind}`, {
    method: "POST",
    headers: { "idempotency-key": idempotencyKey, "content-type": "application/json" },
    body: JSON.stringify({ event, amount }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
  });
  if (!response.ok) throw new Error(`the provider answered ${response.status} to ${kind}`);
  return ((await response.json()) as { id: string }).id;
}
