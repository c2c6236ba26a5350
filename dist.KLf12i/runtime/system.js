import { randomBytes } from "node:crypto";
/** The machine's own clock. Timers of long waits do not keep a process alive that has nothing else to do. */
export const systemClock = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after(ms, callback) {
        if (ms === 0) {
            const turn = setImmediate(callback);
            return () => clearImmediate(turn);
        }
        const timer = setTimeout(callback, Math.min(ms, 2_000_000_000));
        return () => clearTimeout(timer);
    },
};
/** Random bytes are drawn in blocks: one call to the system's generator serves four hundred ids. */
const BLOCK = 4_096;
let block = new Uint8Array(0);
let used = 0;
export const systemRandom = {
    bytes(count) {
        if (count > BLOCK)
            return randomBytes(count);
        if (used + count > block.length) {
            block = randomBytes(BLOCK);
            used = 0;
        }
        used += count;
        return block.subarray(used - count, used);
    },
    fraction: () => Math.random(),
};
const write = (level) => (fields, event) => {
    if (level !== "debug")
        console[level](`nevertwice ${event}`, fields);
};
/** Warnings and errors must be seen even where nobody chose a logger. */
export const consoleLogger = {
    debug: () => { },
    info: () => { },
    warn: write("warn"),
    error: write("error"),
};
//# sourceMappingURL=system.js.map