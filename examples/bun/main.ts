// Bun: one process that receives and works.
import { nt, payments, report } from "../webhooks/nt.ts";

await nt.start();
const server = Bun.serve({
  port: Number(process.env.PORT),
  routes: {
    "/hooks/stripe": { POST: payments.receive },
    "/reports": {
      POST: async (request) => {
        const { day } = (await request.json()) as { day: string };
        return Response.json(await report.enqueue({ day }), { status: 202 });
      },
    },
  },
});
console.log("listening", { port: server.port });
// Answers what is under way, then lets the running handlers end.
process.once("SIGTERM", () => void server.stop().then(() => nt.stop()));
