import { nt } from "./nt";

export async function work(): Promise<void> {
  await nt.start();
  // Next.js ends the process as soon as it has answered its last request: it has to wait for the running handlers first.
  const next = process.listeners("SIGTERM");
  process.removeAllListeners("SIGTERM");
  process.once("SIGTERM", (signal) => {
    void nt.stop().finally(() => next.forEach((end) => end(signal)));
  });
}
