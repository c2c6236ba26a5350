// Loaded first into every process of the demo: Ctrl-C reaches them all, but the demo says in which order they end; and none
// outlives it.
process.on("SIGINT", () => {});
process.once("disconnect", () => process.exit(1));
