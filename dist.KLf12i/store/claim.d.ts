/**
 * Leases and fencing.
 *
 * A lease is a due time in the future, on the database's clock: a leased row is not due, and one whose worker died
 * becomes due by itself. A *claim* is a random 64-bit token, new for each execution and gone with each settlement; no
 * (delivery, claim) can ever match twice, whatever was replayed, restored or failed over. An attempt's number could: a
 * replayed row would match a zombie of its first life.
 *
 * So a worker that lost its lease is harmless rather than impossible: whatever it still writes names a claim that is
 * no longer there and touches no row. That is why the lease can be short.
 *
 * A delivery whose lease ran out is claimed alone and counted before it runs. In a normal claim nothing is counted
 * until it settles: a process that dies takes hundreds of unstarted deliveries with it, and none of them may come
 * nearer to its dead letter for that.
 */
import type { Claim, Claimed, Want } from "../core/ports/store.ts";
import type { Run } from "./accept.ts";
export declare function claim(run: Run, wants: readonly Want[], leaseMs: number): Promise<readonly Claimed[]>;
export declare function takeOver(run: Run, consumers: readonly string[], leaseMs: number, worker: string): Promise<Claimed | undefined>;
export declare function renew(run: Run, claims: readonly Claim[], leaseMs: number): Promise<readonly Claim[]>;
export declare function nextDueMs(run: Run, consumers: readonly string[]): Promise<number | undefined>;
