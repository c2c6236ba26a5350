import { defaults } from "../core/defaults.js";
/**
 * Refused requests are counted in memory and written per source and reason at most every 10 seconds, so that a flood
 * of forged requests costs no database work. What a killed process had not written yet is not counted.
 */
export class Refusals {
    #write;
    #clock;
    #counts = new Map();
    #cancel;
    constructor(write, clock) {
        this.#write = write;
        this.#clock = clock;
    }
    count(source, reason) {
        const id = `${source} ${reason}`;
        this.#counts.set(id, { source, reason, refused: (this.#counts.get(id)?.refused ?? 0) + 1 });
        this.#cancel ??= this.#clock.after(defaults.refusalFlushMs, () => void this.flush());
    }
    /** Writes what has been counted; keeps it for the next time when the database is away. */
    async flush() {
        this.#cancel?.();
        this.#cancel = undefined;
        const counts = [...this.#counts.values()];
        if (counts.length === 0)
            return;
        this.#counts = new Map();
        try {
            await this.#write(counts);
        }
        catch {
            for (const { source, reason, refused } of counts) {
                this.count(source, reason);
                const id = `${source} ${reason}`;
                const now = this.#counts.get(id);
                if (now !== undefined)
                    this.#counts.set(id, { ...now, refused: now.refused + refused - 1 });
            }
        }
    }
}
//# sourceMappingURL=refusals.js.map