import { fault } from "../core/errors.ts";

/** The parsed body, or something that throws a terminal error when it is read: the handler still has `message.bytes`. */
export function eventOf(body: Uint8Array): unknown {
  try {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    const refuse = (): never => {
      throw fault("NT_BODY_NOT_JSON", { got: cause instanceof Error ? cause.message : String(cause), cause });
    };
    return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse });
  }
}
