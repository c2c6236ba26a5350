/** So deep a chain of causes is told; a circle of them ends there too. */
const CAUSES = 5;

/** An error as the audit log keeps it: with its causes, bounded, without NUL, which PostgreSQL's text cannot hold. */
export function describe(failure: unknown): string {
  const told: string[] = [];
  for (let one = failure; told.length < CAUSES; one = one.cause) {
    told.push(one instanceof Error ? (one.stack ?? `${one.name}: ${one.message}`) : String(one));
    // Libraries wrap what the database said in an error that only repeats the statement.
    if (!(one instanceof Error) || one.cause === undefined) break;
  }
  return told.join("\ncaused by ").replaceAll("\0", "\\0").slice(0, 8_000);
}
