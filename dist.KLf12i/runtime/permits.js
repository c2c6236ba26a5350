/** A fixed number of permits, handed on in the order of asking. */
export class Permits {
    #free;
    #asking = [];
    constructor(count) {
        this.#free = count;
    }
    take() {
        if (this.#free > 0) {
            this.#free--;
            return Promise.resolve();
        }
        return new Promise((resolve) => this.#asking.push(resolve));
    }
    give() {
        const next = this.#asking.shift();
        if (next === undefined)
            this.#free++;
        else
            next();
    }
}
//# sourceMappingURL=permits.js.map