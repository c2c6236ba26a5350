import { retryPolicy, type RetryPolicy } from "../core/backoff.ts";
import { defaults } from "../core/defaults.ts";
import { checkOptions, fault } from "../core/errors.ts";
import type { ConsumerDeclaration } from "../core/ports/store.ts";
import { checkName, JOBS, OWN, topicLike } from "../core/topic.ts";
import type { BatchHandler, BatchOptions } from "./batch-face.ts";
import type { ConsumerOptions, Handler } from "./face.ts";

/** A declared consumer: what the code says, before any database. */
export interface Consumer extends ConsumerDeclaration {
  readonly handler: Handler<unknown>;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly retry: RetryPolicy;
  /** Undefined: unless its `tx` is handed over to a library. */
  readonly group: boolean | undefined;
  /** Of a job: checks the stored input before it is handled. Throws a terminal error. */
  readonly check?: (input: unknown) => unknown;
  /** Handles many at once, in place of `handler`. */
  readonly batch?: { readonly size: number; readonly handler: BatchHandler<unknown> };
  /** Declared here, handled by other processes. */
  readonly elsewhere?: true;
}

const OPTIONS = ["consumer", "timeoutMs", "concurrency", "retry", "group"] as const;

export function consumer(source: string, topic: string, options: ConsumerOptions, handler: unknown): Consumer {
  checkOptions("on()", options, OPTIONS);
  if (typeof handler !== "function") {
    throw fault("NT_OPTION", { expected: `a handler function for \`${topic}\``, got: typeof handler });
  }
  const name = options.consumer ?? (source === OWN || source === JOBS ? topic : `${source}/${topic}`);
  return {
    name: checkName("consumer name", name),
    source,
    topic,
    topicLike: topicLike(topic),
    handler: handler as Handler<unknown>,
    timeoutMs: bounded("timeoutMs", options.timeoutMs ?? defaults.timeoutMs, 1, 86_400_000),
    concurrency: bounded("concurrency", options.concurrency ?? defaults.concurrency, 1, 1_000),
    retry: retryPolicy(options.retry),
    group: options.group,
  };
}

const BATCH_OPTIONS = ["consumer", "timeoutMs", "concurrency", "retry", "size"] as const;

export function batchConsumer(
  source: string,
  topic: string,
  { size = defaults.batchSize, concurrency = defaults.batchConcurrency, ...rest }: BatchOptions,
  handler: unknown,
): Consumer {
  checkOptions("onBatch()", rest, BATCH_OPTIONS);
  const batch = { size: bounded("size", size, 1, 1_000), handler: handler as BatchHandler<unknown> };
  return { ...consumer(source, topic, { ...rest, concurrency, group: false }, handler), batch };
}

function bounded(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw fault("NT_OPTION", { expected: `${name} as a whole number from ${least} to ${most}`, got: String(value) });
}
