// Where the server stays up (`next start`), it can work, too. Leave this file out where a scheduler calls /cron instead.
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME === "nodejs" && process.env.WORK === "1") {
    const { work } = await import("./work");
    await work();
  }
}
