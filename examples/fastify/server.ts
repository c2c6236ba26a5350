// Fastify: one process that receives and works.
import fastify from "fastify";
import { nevertwice } from "nevertwice/fastify";
import { nt, payments, report } from "../webhooks/nt.ts";

const app = fastify();
// Takes the bodies as they came, whatever parsers the other routes have; starts the workers with the app and stops them with it.
await app.register(nevertwice, { nt, work: true, routes: { "/hooks/stripe": payments.receive } });
app.post<{ Body: { day: string } }>("/reports", async (request, reply) => {
  return reply.code(202).send(await report.enqueue({ day: request.body.day }));
});

await app.listen({ port: Number(process.env["PORT"]) });
console.log("listening", app.server.address());
process.once("SIGTERM", () => void app.close());
