// Does the shop's work. Run as many as you like; kill any of them at any time.
import { nt } from "./nt.ts";

await nt.start();
process.once("SIGTERM", () => void nt.stop({ deadlineMs: 5_000 }).then(() => process.exit(0)));
process.send?.({ started: true });
