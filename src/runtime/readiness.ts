import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Store } from "../core/ports/store.ts";

export interface Readiness {
  readonly ready: boolean;
  readonly database: "answers" | "away";
  readonly worker: "works" | "stands still" | "none";
}

/** Whether a process can do its work now; a database that does not answer within 2 s is away. */
export async function readiness(
  ready: () => Promise<Store>,
  of: { readonly stuck: boolean } | undefined,
  clock: Clock,
): Promise<Readiness> {
  const worker = of === undefined ? "none" : of.stuck ? "stands still" : "works";
  let cancel = (): void => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(2_000, () => reject(fault("NT_DATABASE_AWAY", { got: "no answer for 2 s" })));
  });
  try {
    await Promise.race([ready().then((store) => store.inspect()), late]);
    return { ready: worker !== "stands still", database: "answers", worker };
  } catch {
    return { ready: false, database: "away", worker };
  } finally {
    cancel();
  }
}
