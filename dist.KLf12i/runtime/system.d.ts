import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
/** The machine's own clock. Timers of long waits do not keep a process alive that has nothing else to do. */
export declare const systemClock: Clock;
export declare const systemRandom: Random;
/** Warnings and errors must be seen even where nobody chose a logger. */
export declare const consoleLogger: Logger;
