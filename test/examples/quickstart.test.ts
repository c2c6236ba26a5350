import { expect, test } from "vitest";
import { freshDatabase } from "../support/database.ts";

test("the README's example: one payment that came three times takes one from stock", async () => {
  const { url, drop } = await freshDatabase();
  process.env["DATABASE_URL"] = url;
  process.env["STRIPE_WEBHOOK_SECRET"] = "whsec_quickstart";
  const { play } = await import("../../examples/quickstart.ts");
  expect(await play()).toEqual([200, 200, 200, 9]);
  await drop();
});
