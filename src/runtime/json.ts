import { defaults } from "../core/defaults.ts";
import { type ErrorCode, fault } from "../core/errors.ts";

/** A result as JSON, at most 1 MiB; what JSON does not know (`undefined`) is null. Throws the error of that code. */
export function resultJson(code: ErrorCode, of: string, result: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(result) ?? "null";
  } catch (cause) {
    throw fault(code, { got: `the result of ${of}, which JSON cannot hold`, cause });
  }
  if (text.length > defaults.resultBytes) throw fault(code, { got: `${text.length} characters from ${of}` });
  return text;
}
