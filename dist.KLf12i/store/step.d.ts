import type { Claim, StepBegun } from "../core/ports/store.ts";
import type { Run } from "./accept.ts";
export declare function beginStep(run: Run, claim: Claim, name: string, idempotencyKey: string): Promise<StepBegun>;
export declare function finishStep(run: Run, claim: Claim, name: string, outcome: {
    result: string;
} | {
    error: string;
}): Promise<boolean>;
