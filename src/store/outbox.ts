/**
 * The outbox: sending in the caller's own transaction, whatever they hold it in.
 *
 * Libraries agree on nothing but that a text goes in and rows come out, so all goes in as one JSON text, to a function in
 * the database (migrations/0005_put.sql) that does what `accept` does. Only the shape of what they hand over is looked at;
 * none of them is imported.
 */
import { fault } from "../core/errors.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { Arrival, Put } from "../core/ports/store.ts";
import { sqlState } from "../core/sql-state.ts";
import { PUT, putOutcomes, type PutRow, putText } from "./put.ts";

// in transaction: an error (25P01) outside of one, where each statement commits by itself: whoever sends with `tx` means to be
// able to take it back, and a pool handed over by mistake would send at once. Nothing else in SQL tells.
const IN_TRANSACTION = `-- in transaction
lock table nevertwice.consumer in access share mode`;

/** Sends in the caller's transaction; the outcomes in the order of the arrivals. Throws NT_SEND_TX. */
export async function sendIn(
  tx: OutboxTx,
  arrivals: readonly Arrival[],
  place: (text: string) => string,
): Promise<readonly Put[]> {
  try {
    await run(tx, place(IN_TRANSACTION));
  } catch (cause) {
    if (sqlState(cause) !== "25P01" && !/25P01|only be used in transaction blocks/.test(String(cause))) throw cause;
    throw fault("NT_SEND_TX", { got: "a connection outside of a transaction", cause });
  }
  const rows = await run(tx, place(PUT), putText(arrivals));
  return putOutcomes(arrivals, rows).map((outcome) => {
    if (outcome === undefined) throw fault("NT_SEND_TX", { got: "an answer without rows" });
    return outcome;
  });
}

/** By the shape of what was handed over. */
async function run(tx: OutboxTx, text: string, json?: string): Promise<readonly PutRow[]> {
  const values = json === undefined ? [] : [json];
  // Before the rest: a model of theirs may be called `raw` or `query`.
  if ("$queryRawUnsafe" in tx) return rowsOf(await tx.$queryRawUnsafe(text, ...values));
  if ("unsafe" in tx) return rowsOf(await tx.unsafe(text, values));
  if ("executeQuery" in tx) {
    const query = { kind: "RawNode", sqlFragments: [text], parameters: [] } as const;
    return rowsOf(await tx.executeQuery({ query, queryId: { queryId: "nevertwice" }, sql: text, parameters: values }));
  }
  if ("raw" in tx) return rowsOf(await tx.raw(text.replace("$1", "?"), values));
  if ("query" in tx && typeof tx.query === "function") return rowsOf(await tx.query(text, values));
  if ("execute" in tx) {
    // Text alone: the JSON travels as hexadecimal digits, which need no quoting.
    const literal = `convert_from(decode('${Buffer.from(json ?? "").toString("hex")}', 'hex'), 'UTF8')`;
    return rowsOf(await tx.execute(text.replace("$1", literal)));
  }
  throw fault("NT_SEND_TX", { got: `${typeof tx} without a way to query` });
}

function rowsOf(answer: unknown): readonly PutRow[] {
  return Array.isArray(answer) ? answer : (((answer as { rows?: unknown } | null)?.rows ?? []) as readonly PutRow[]);
}
