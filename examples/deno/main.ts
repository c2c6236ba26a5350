// Deno: one process that receives and works.
import { nt, payments, report } from "../webhooks/nt.ts";

await nt.start();
const server = Deno.serve(
  { port: Number(Deno.env.get("PORT")), onListen: (at) => console.log("listening", at) },
  async (request) => {
    switch (new URL(request.url).pathname) {
      case "/hooks/stripe":
        return payments.receive(request);
      case "/reports":
        return Response.json(await report.enqueue(await request.json()), { status: 202 });
      default:
        return new Response(null, { status: 404 });
    }
  },
);
// Answers what is under way, then lets the running handlers end.
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  await nt.stop();
  Deno.exit();
});
