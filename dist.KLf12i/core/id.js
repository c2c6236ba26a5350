/**
 * Message ids are UUIDv7 (RFC 9562): made by the accepting process, never by a sequence, because after a failover
 * or a restore a sequence gives an old number to another message, whose steps would then reuse an old idempotency
 * key. Their first 48 bits are a time, and the tables of history are partitioned by it.
 *
 * `random` gives 10 fresh random bytes.
 */
export function uuidv7(nowMs, random) {
    const time = Math.max(0, Math.floor(nowMs)).toString(16).padStart(12, "0");
    let tail = "";
    for (let i = 0; i < 10; i++)
        tail += HEX[random[i] ?? 0];
    const variant = ((Number.parseInt(tail.slice(3, 4), 16) & 0x3) | 0x8).toString(16);
    return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${tail.slice(0, 3)}-${variant}${tail.slice(4, 7)}-${tail.slice(7, 19)}`;
}
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export function isUuid(text) {
    return UUID.test(text);
}
/** The time in an id of ours, in milliseconds. Delivery ids carry the time of their message. */
export function idTimeMs(id) {
    return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
/** The lowest id of a moment: a bound for partitions and for pruning. */
export function lowestId(ms) {
    const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
    return `${time.slice(0, 8)}-${time.slice(8, 12)}-0000-0000-000000000000`;
}
//# sourceMappingURL=id.js.map