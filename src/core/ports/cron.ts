/**
 * The port to cron expressions. Core decides what becomes of a moment; which moments an expression names is asked here.
 *
 * All moments are whole seconds, in milliseconds since the epoch, and a pure function of expression, zone and question: two
 * processes with the same zone data get the same answers, whenever they ask.
 */
export interface CronTimes {
  /** The first moment after this one; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** The last ones before this moment, newest first. */
  previous(count: number, beforeMs: number): readonly number[];
}

export interface CronPort {
  /** Throws an Error whose message says what is wrong with the expression. */
  read(expression: string, zone: string): CronTimes;
}
