/**
 * "Something is due": sent after COMMIT, in a transaction of its own, and coalesced. While one hint is under way all
 * others become the next one. A hint that is lost costs a poll interval, never a message.
 */
export class Hints {
    #send;
    #clock;
    #sending = false;
    #again = false;
    #sentAt = -Infinity;
    constructor(send, clock) {
        this.#send = send;
        this.#clock = clock;
    }
    give() {
        if (this.#sending) {
            this.#again = true;
            return;
        }
        this.#sending = true;
        // At most one in 5 ms: a busy worker claims without being told, and an idle one is told at once.
        const wait = Math.max(0, 5 - (this.#clock.monotonic() - this.#sentAt));
        if (wait === 0)
            void this.#run();
        else
            this.#clock.after(wait, () => void this.#run());
    }
    async #run() {
        this.#again = false;
        this.#sentAt = this.#clock.monotonic();
        try {
            await this.#send();
        }
        finally {
            this.#sending = false;
            if (this.#again)
                this.give();
        }
    }
}
//# sourceMappingURL=hints.js.map