/** A fixed number of permits, handed on in the order of asking. */
export declare class Permits {
    #private;
    constructor(count: number);
    take(): Promise<void>;
    give(): void;
}
