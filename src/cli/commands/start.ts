import { fault } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { Runtime } from "../../runtime/nevertwice.ts";
import { serve } from "../../server/app.ts";
import { github } from "../../sources/github.ts";
import { standardWebhooks } from "../../sources/standard-webhooks.ts";
import { stripe } from "../../sources/stripe.ts";
import { listTimelines } from "../../store/read/timeline.ts";
import { type Command, type Given, isSet, text } from "../command.ts";
import { bare, configured } from "../context.ts";
import { processLogger } from "../log.ts";
import { removeServerFile, writeServerFile } from "../server-file.ts";
import { wholeNumber } from "../words.ts";
import { aboutTimeline } from "./doctor.ts";

const sources = {
  stripe: () => stripe({ secret: () => process.env["STRIPE_WEBHOOK_SECRET"] }),
  github: () => github({ secret: () => process.env["GITHUB_WEBHOOK_SECRET"] }),
  "standard-webhooks": () => standardWebhooks({ secret: () => process.env["STANDARD_WEBHOOK_SECRET"] }),
};

export const start: Command = {
  name: "start",
  usage: "start [--inbox stripe,github]",
  about: "serve the inboxes of the config file at /in/<name>, and work on what comes in",
  flags: {
    port: { type: "string", value: "n", about: "default: PORT, else 4800" },
    host: { type: "string", value: "address", about: "default: all interfaces" },
    inbox: {
      type: "string",
      value: "names",
      about: "without a config file: stripe, github, standard-webhooks; secrets from <NAME>_WEBHOOK_SECRET",
    },
    "no-worker": { type: "boolean", about: "only accept" },
    "no-server": { type: "boolean", about: "only work" },
    "deadline-ms": {
      type: "string",
      value: "n",
      about: "how long running handlers may take at the end (default: 20000)",
    },
    "log-level": { type: "string", value: "level", about: "debug, info, warn, error (default: info)" },
  },
  words: [0, 0],
  async run(given) {
    const log = processLogger(text(given, "log-level") ?? "info");
    const deadlineMs = wholeNumber("--deadline-ms", text(given, "deadline-ms"), {
      least: 0,
      most: 3_600_000,
      otherwise: 20_000,
    });
    const port = wholeNumber("--port", text(given, "port") ?? process.env["PORT"], {
      least: 0,
      most: 65_535,
      otherwise: 4_800,
    });
    const nt = (await configured(given)) ?? withInboxes(given, bare(given, log));
    const asked = new Promise<string>((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
    });
    const store = await nt.ready();
    log.info({ ...(await store.inspect()), schema: nt.schema }, "database ready");
    const { level, found, next } = aboutTimeline(await listTimelines(store));
    if (level === "error") log.warn({ found, next }, "steps are paused");
    const host = text(given, "host");
    const serving = isSet(given, "no-server")
      ? undefined
      : await serve(nt, { port, ...(host === undefined ? {} : { host }) });
    if (!isSet(given, "no-worker")) await nt.start();
    if (serving !== undefined) {
      writeServerFile({ url: serving.url, pid: process.pid });
      log.info({ url: serving.url, inboxes: [...nt.inboxes.keys()].map((name) => `/in/${name}`) }, "listening");
    }
    log.info({ signal: await asked, deadlineMs }, "stopping");
    removeServerFile();
    await serving?.close();
    await nt.stop({ deadlineMs });
    log.info({}, "stopped");
    // A handler that did not heed its signal is given up; it would keep the process alive.
    process.exit(0);
  },
};

function withInboxes(given: Given, nt: Runtime): Runtime {
  const names = (text(given, "inbox") ?? "").split(",").filter((name) => name !== "");
  if (names.length === 0) {
    throw fault("NT_CONFIG", {
      got: "none",
      next: "Write nevertwice.config.ts (`export default nt`), or give --inbox stripe,github,standard-webhooks.",
    });
  }
  for (const name of names) {
    const source = sources[name as keyof typeof sources];
    if (source === undefined) {
      const near = nearest(name, Object.keys(sources));
      throw fault("NT_USAGE", {
        expected: `--inbox ${Object.keys(sources).join(",")}`,
        got: name,
        ...(near ? { next: `Did you mean ${near}?` } : {}),
      });
    }
    nt.inbox(name, source());
  }
  return nt;
}
