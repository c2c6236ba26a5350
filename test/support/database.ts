import { randomUUID } from "node:crypto";
import pg from "pg";

/** A database of its own for a test file; dropped with whatever is still connected to it. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const server = process.env["NT_TEST_URL"];
  if (server === undefined) throw new Error("global-setup.ts has not run");
  const name = `nevertwice_test_${randomUUID().slice(0, 8)}`;
  await administer(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(server, `drop database if exists ${name} with (force)`) };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/**
 * For what is stuck. What is only slow must not come near it: on a machine four times slower that stood still for seconds, work
 * that takes 5 s here took 25.
 */
const PATIENCE_MS = 90_000;

/** Polls a condition: tests wait for what they mean, never for a length of time. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  withinMs = PATIENCE_MS,
): Promise<void> {
  for (const began = performance.now(); ;) {
    // Looked at before the clock: a process that stood still for long has one more look.
    const late = performance.now() - began > withinMs;
    if (await condition()) return;
    if (late) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
