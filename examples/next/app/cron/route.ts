// Where no process stays up: a scheduler calls this once a minute, and it works for a while.
import { createHash, timingSafeEqual } from "node:crypto";
import { nt } from "../../nt";

export const dynamic = "force-dynamic";
export const maxDuration = 60;

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

export async function GET(request: Request): Promise<Response> {
  const secret = process.env["CRON_SECRET"] ?? "";
  const given = request.headers.get("authorization") ?? "";
  if (secret === "" || !timingSafeEqual(hash(given), hash(`Bearer ${secret}`))) {
    return new Response(null, { status: 401 });
  }
  return Response.json(await nt.runDue({ maxMs: 40_000 }));
}
