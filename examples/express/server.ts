// Express: one process that receives and works.
import express from "express";
import { toNode } from "nevertwice/node";
import { nt, payments, report } from "../webhooks/nt.ts";

const app = express();
// Before any body parser: a signature is over the bytes as they came.
app.post("/hooks/stripe", toNode(payments.receive));
app.use(express.json());
app.post("/reports", async (req, res) => {
  res.status(202).json(await report.enqueue({ day: req.body.day }));
});

await nt.start();
const server = app.listen(Number(process.env["PORT"]), () => console.log("listening", server.address()));
// Answers what is under way, then lets the running handlers end. Nothing is left then, and the process ends.
process.once("SIGTERM", () => server.close(() => void nt.stop()));
