// Run by test/parts.test.ts in a runner of its own: a suite whose part is nowhere.
import { expect, test } from "vitest";
import { part } from "../parts.ts";

const withNothing = part("pgbouncer", () => "it was taken away for this test");

withNothing("what needs it", () => {
  test("does not run", () => expect.unreachable("the suite ran without its part"));
});
