import type { Clock } from "../core/ports/clock.ts";
import type { Claimed } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import type { Lanes } from "./lane.ts";
/** A claimed delivery that waits for a slot. */
export interface Item {
    readonly claimed: Claimed;
    readonly alone: boolean;
    /** Runs of this attempt that were rolled back for a neighbour's sake. */
    readonly reruns: number;
}
/** One consumer in this process: what it has claimed ahead, and how many of its handlers run. */
export declare class Line {
    #private;
    readonly consumer: Consumer;
    readonly lanes: Lanes;
    /** The lower bound of the next claim. */
    dueFrom: string | undefined;
    /** The last claim came back full. */
    mayHaveMore: boolean;
    constructor(consumer: Consumer, lanes: Lanes, clock: Clock);
    /** How many to claim now: none while at least half of what is wanted ahead is here. */
    wants(): number;
    hasRoom(): boolean;
    add(item: Item): void;
    addFirst(item: Item): void;
    /** After a claim: moves the bound, and notes whether there may be more. */
    claimed(all: readonly Claimed[], asked: number): void;
    /** The next delivery, when a slot is free. */
    start(): Item | undefined;
    /** The handler has returned: its slot is free. */
    end(): void;
    done(): void;
    drop(claimed: Claimed): void;
    clear(): readonly Item[];
}
