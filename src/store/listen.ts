import { createHash, randomUUID } from "node:crypto";
import { defaults } from "../core/defaults.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Connections } from "./connections.ts";
import type { ClientLike } from "./driver.ts";

/** One channel a schema, so that two instances in one database do not wake each other. */
export function channel(schema: string): string {
  return `nevertwice_${createHash("sha256").update(schema).digest("hex").slice(0, 12)}`;
}

// hint: wakes workers. A notification needs a COMMIT with an fsync of its own, and it holds nothing that could be lost.
// $1 channel, $2 who gives it.
export const HINT = `-- hint
select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`;

/**
 * LISTEN on a connection of its own. When it is lost it is opened again, with a growing pause, and the callback is
 * called after each time, because hints may have been missed meanwhile. Polling is the truth all the same.
 *
 * Behind a transaction pooler LISTEN succeeds and nothing is ever heard: the session that listens went back to the pooler.
 * A worker that waits for hints polls once a minute when it is idle, and so would find what others accept a minute late. So
 * each connection is tried by a hint of our own, given on another one: until something is heard, the callback is called as
 * often as a worker polls while something is outstanding.
 */
export async function listen(
  connections: Connections,
  name: string,
  logger: Logger,
  onHint: (from: string | undefined) => void,
): Promise<() => Promise<void>> {
  const trial = randomUUID();
  let stopped = false;
  let client: ClientLike | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let unheard: NodeJS.Timeout | undefined;
  let told = false;

  const heard = ({ payload }: { readonly payload?: string | undefined }): void => {
    clearInterval(unheard);
    if (payload !== trial) onHint(payload);
  };
  const tryOut = (): void => {
    clearInterval(unheard);
    unheard = setInterval(() => {
      if (!told) logger.warn({}, "no hints arrive, as behind a transaction pooler: polling instead");
      told = true;
      onHint(undefined);
    }, defaults.pollMs);
    connections.run(HINT, [name, trial]).catch(() => {});
  };
  const lost = (): void => {
    if (client === undefined) return;
    const gone = client;
    client = undefined;
    clearInterval(unheard);
    detach(gone);
    connections.release(gone, true);
    again();
  };
  const again = (): void => {
    if (stopped) return;
    failures++;
    timer = setTimeout(() => void open(), Math.min(5_000, 50 * 2 ** failures));
  };
  const detach = (one: ClientLike): void => {
    one.removeListener("notification", heard);
    one.removeListener("end", lost);
    one.removeListener("error", lost);
  };
  const open = async (): Promise<void> => {
    try {
      const opened = await connections.connect();
      if (stopped) return connections.release(opened);
      opened.on("notification", heard);
      opened.on("end", lost);
      opened.on("error", lost);
      client = opened;
      await opened.query(`listen ${name}`);
      failures = 0;
      // It may be lost again, or nobody may want to hear any more.
      if (client === opened) tryOut();
      onHint(undefined);
    } catch {
      if (client === undefined) again();
      else lost();
    }
  };

  await open();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    clearInterval(unheard);
    if (client === undefined) return;
    const last = client;
    client = undefined;
    detach(last);
    connections.release(last, true);
  };
}
