import { report } from "../../nt";

export async function POST(request: Request): Promise<Response> {
  const { day } = (await request.json()) as { day: string };
  return Response.json(await report.enqueue({ day }), { status: 202 });
}
