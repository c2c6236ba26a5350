/** The source of messages that our own code sends. No inbox can take this name. */
export declare const OWN = "own";
/**
 * What a consumer listens to: an exact topic, `prefix.*` for everything below a prefix, or `*` for all.
 * It is kept as a LIKE pattern in the consumer's row, because the accepting statement does the matching:
 * a process that imports no handlers must still write the deliveries.
 */
export declare function topicLike(pattern: string): string;
/** Names of sources, topics, consumers and steps: printable, bounded, safe to show anywhere. */
export declare function checkName(what: string, name: unknown): string;
