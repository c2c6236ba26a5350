/**
 * The port through which webhook providers are understood.
 *
 * A source is pure: bytes, headers, secrets and the time go in, a verdict comes out. It reads nothing and waits for
 * nothing, so that a request without a valid proof costs no database work. `test/conformance/source.ts` proves every
 * adapter; to add one, copy `sources/stripe.ts` and its test.
 */
export {};
//# sourceMappingURL=source.js.map