/**
 * The port through which webhook providers are understood.
 *
 * A source is pure: bytes, headers, secrets and the time go in, a verdict comes out. It reads nothing and waits for
 * nothing, so that a request without a valid proof costs no database work. `test/conformance/source.ts` proves every
 * adapter; to add one, copy `sources/stripe.ts` and its test.
 */
/** One HTTP request as it came, before anything was parsed. */
export interface Incoming {
    /** Each header's values in order, names in lower case. A header sent twice has two values. */
    readonly headers: ReadonlyMap<string, readonly string[]>;
    readonly body: Uint8Array;
    /** The receiver's time in milliseconds since the epoch. */
    readonly nowMs: number;
}
/** Why a request was refused: counted per source and reason. */
export type RefusalReason = "missing-signature" | "bad-signature" | "too-many-signatures" | "repeated-header" | "malformed-header" | "timestamp-too-old" | "timestamp-in-future" | "missing-id" | "missing-topic" | "bad-credentials" | "too-large" | "unsupported-encoding" | "method-not-allowed" | "replayed-body" | "conflict";
export interface Accepted {
    readonly ok: true;
    /** The sender's id of the message, from a header or the raw text, never from a parsed number. */
    readonly key: string;
    readonly topic: string;
}
export interface Refused {
    readonly ok: false;
    readonly reason: RefusalReason;
    /** 401 without a valid proof, 400 when the proof is right but the message cannot be taken. */
    readonly status: 400 | 401;
    /** One sentence for the sender's log. Never holds a secret or an expected signature. */
    readonly detail: string;
}
export type Verdict = Accepted | Refused;
/** What the provider is known to do, so that `doctor` can compare it with our dedupe window. */
export interface ProviderFacts {
    /** How long the provider goes on sending one message, in milliseconds; undefined where it is not published. */
    readonly retryHorizonMs?: number;
    /** The page that says so. */
    readonly documentation?: string;
}
/**
 * `Events` maps each topic to the type of its parsed body: `on(topic, …)` narrows by it.
 */
export interface Source<Events extends object = Record<string, unknown>> {
    /** The provider's name, as in `nevertwice post <provider> <topic>`. */
    readonly provider: string;
    /**
     * What the proof covers. `"id"`: body and id, so that a copy under another id cannot be forged.
     * `"body"`: the body alone; the same signed bytes under another id are a suspected replay.
     * `"nothing"`: the proof, if any, says who sends but nothing of what was sent.
     */
    readonly proves: "id" | "body" | "nothing";
    /** The status for a new message. Most providers take any 2xx. */
    readonly acceptedStatus: 200 | 202;
    /** What to do with the same signed bytes under another id, where `proves` is `"body"`. */
    readonly onSuspectedReplay: "mark" | "refuse";
    /** The answer to the same key with another body: 200 where the signature proves the sender, or it would retry for days. */
    readonly conflictStatus: 200 | 409;
    readonly facts: ProviderFacts;
    /** How far a timestamp may lie in the past and in the future, in milliseconds; undefined where the scheme has none. */
    readonly toleranceMs: number | undefined;
    verify(incoming: Incoming): Verdict;
    /**
     * The bytes by which two bodies under one key are compared: without the members that the provider changes
     * between two sendings of one event. The stored bytes are always the ones that came.
     */
    comparable(body: Uint8Array): Uint8Array;
    /** Only a type: which body belongs to which topic. Never set. */
    readonly events?: Events;
}
