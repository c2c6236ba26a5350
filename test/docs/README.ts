// What README.md takes as given.
export declare function makeReceipt(event: string, idempotencyKey: string): Promise<{ readonly number: number }>;
