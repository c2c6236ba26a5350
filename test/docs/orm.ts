// What docs/orm.md takes as given.
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import type { Inbox } from "nevertwice";

export { eq, sql } from "drizzle-orm";
interface Succeeded {
  readonly type: "payment_intent.succeeded";
  readonly data: { readonly object: { readonly metadata: { readonly sku: string } } };
}
export declare const payments: Inbox<{ "payment_intent.succeeded": Succeeded }>;
export const stock = pgTable("stock", { sku: text().primaryKey(), onHand: integer("on_hand").notNull() });
export const schema = { stock };
