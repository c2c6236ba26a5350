/** An error as the audit log keeps it: bounded, without NUL, which PostgreSQL's text cannot hold. */
export function describe(failure: unknown): string {
  const text = failure instanceof Error ? (failure.stack ?? `${failure.name}: ${failure.message}`) : String(failure);
  return text.replaceAll("\0", "\\0").slice(0, 8_000);
}
