// Hono, here on Node: one process that receives and works.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { nt, payments, report } from "../webhooks/nt.ts";

const app = new Hono();
app.post("/hooks/stripe", (c) => payments.receive(c.req.raw));
app.post("/reports", async (c) => {
  const { day } = await c.req.json<{ day: string }>();
  return c.json(await report.enqueue({ day }), 202);
});

await nt.start();
const server = serve({ fetch: app.fetch, port: Number(process.env["PORT"]) }, (at) => console.log("listening", at));
// Answers what is under way, then lets the running handlers end. Nothing is left then, and the process ends.
process.once("SIGTERM", () => server.close(() => void nt.stop()));
