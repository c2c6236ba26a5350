import { createHash } from "node:crypto";
import type { Connections } from "./connections.ts";
import type { ClientLike } from "./driver.ts";

/** One channel a schema, so that two instances in one database do not wake each other. */
export function channel(schema: string): string {
  return `nevertwice_${createHash("sha256").update(schema).digest("hex").slice(0, 12)}`;
}

/**
 * LISTEN on a connection of its own. When it is lost it is opened again, with a growing pause, and the callback is
 * called after each time, because hints may have been missed meanwhile. Polling is the truth all the same.
 */
export async function listen(
  connections: Connections,
  name: string,
  onHint: (from: string | undefined) => void,
): Promise<() => Promise<void>> {
  let stopped = false;
  let client: ClientLike | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;

  const heard = ({ payload }: { readonly payload?: string | undefined }): void => onHint(payload);
  const lost = (): void => {
    if (client === undefined) return;
    const gone = client;
    client = undefined;
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
      opened.on("notification", heard);
      opened.on("end", lost);
      opened.on("error", lost);
      client = opened;
      await opened.query(`listen ${name}`);
      failures = 0;
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
    if (client === undefined) return;
    const last = client;
    client = undefined;
    detach(last);
    connections.release(last, true);
  };
}
