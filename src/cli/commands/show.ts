import { fault } from "../../core/errors.ts";
import { findMessages, showMessage, type ShownAttempt, type ShownMessage } from "../../store/read/show.ts";
import { type Command, isSet } from "../command.ts";
import { withStore } from "../context.ts";
import { coloured, counted, plain, shown } from "../print.ts";

export const show: Command = {
  name: "show",
  usage: "show <message id | delivery id | key>",
  about: "all that is known about a message: copies, deliveries, attempts, notes, children, steps",
  flags: { body: { type: "boolean", about: "print the body too" } },
  words: [1, 1],
  async run(given) {
    const [named = ""] = given.words;
    const found = await withStore(given, async (store) => {
      const ids = await findMessages(store, named);
      return Promise.all(ids.map((id) => showMessage(store, id)));
    });
    const messages = found.filter((one) => one !== undefined);
    if (messages.length === 0) throw fault("NT_NOT_FOUND", { got: plain(named) });
    for (const message of messages) {
      if (isSet(given, "json")) console.log(JSON.stringify(readable(message)));
      else print(message, isSet(given, "body"));
    }
    return 0;
  },
};

/** Bodies as text where they are text, else in base64. */
function readable({ message, duplicates, ...rest }: ShownMessage): object {
  return {
    message: { ...message, body: bodyText(message.body) },
    duplicates: duplicates.map((one) => ({ ...one, body: one.body === null ? null : bodyText(one.body) })),
    ...rest,
  };
}

function bodyText(body: Buffer): string | { base64: string } {
  const text = body.toString("utf8");
  return Buffer.from(text, "utf8").equals(body) ? text : { base64: body.toString("base64") };
}

function print(
  { message, duplicates, deliveries, attempts, notes, children, steps }: ShownMessage,
  withBody: boolean,
): void {
  const line = (name: string, value: unknown): void => console.log(`  ${name.padEnd(10)} ${plain(shown(value))}`);
  console.log(coloured("bold", `message ${message.id}`));
  line("source", message.source);
  line("key", message.key);
  line("topic", message.topic);
  line("received", message.received_at);
  if (message.tenant !== "") line("tenant", message.tenant);
  if (message.source === "job" && message.headers["parent"] !== undefined) {
    line("child", `of ${message.headers["parent"]}, one of its \`${message.headers["group"]}\``);
  }
  line("body", counted(message.body.length, "byte"));
  if (message.suspected_replay_of !== null) line("suspected", `replay of ${message.suspected_replay_of}`);
  const copies = duplicates.filter((one) => !one.conflict).reduce((sum, one) => sum + one.copies, 0);
  if (copies > 0) line("copies", `came ${copies} more times with the same body: absorbed`);
  for (const conflict of duplicates.filter((one) => one.conflict)) {
    line("conflict", `another body under this key at ${shown(conflict.received_at)}: kept, not run`);
  }
  if (deliveries.length === 0) console.log("  no consumer took it");
  for (const delivery of deliveries) {
    const style = delivery.state === "completed" ? "green" : delivery.state === "dead" ? "red" : "yellow";
    console.log(`\n  delivery ${delivery.id} to ${plain(delivery.consumer)}: ${coloured(style, delivery.state)}`);
    const due = { leased: "lease ends", blocked: "waits for its children; looked at again" }[delivery.state] ?? "due";
    if (delivery.due_at !== null) console.log(`    ${due} ${shown(delivery.due_at)}`);
    if (delivery.expires_at !== null) console.log(`    expires ${shown(delivery.expires_at)}, unless it has begun`);
    if (delivery.priority !== null && delivery.priority !== 0) console.log(`    priority ${delivery.priority}`);
    if (delivery.due_at !== null && delivery.paused_at !== null) {
      console.log(`    its consumer is paused since ${shown(delivery.paused_at)}`);
    }
    if (delivery.replayed_at !== null) {
      const of = delivery.replay_of === null ? "for a consumer that never had it" : `of ${delivery.replay_of}`;
      console.log(`    replay ${of}, ${shown(delivery.replayed_at)}: ${plain(delivery.reason ?? "")}`);
    }
    for (const attempt of attempts.filter((one) => one.delivery_id === delivery.id)) printAttempt(attempt);
    for (const note of notes.filter((one) => one.delivery_id === delivery.id)) {
      const percent = `${Math.round(note.progress * 100)} %`;
      console.log(`    progress ${percent.padStart(5)} ${shown(note.noted_at)} ${plain(note.line ?? "")}`.trimEnd());
    }
    if (delivery.result !== null) console.log(`    result ${plain(JSON.stringify(delivery.result).slice(0, 200))}`);
    for (const { name, job, ...one } of children.filter((group) => group.consumer === delivery.consumer)) {
      const ended = `${one.children - one.outstanding} of ${one.children} ended`;
      console.log(`    children ${plain(name)}, of job ${plain(job)}: ${ended}, ${one.dead} dead`);
    }
    for (const step of steps.filter((one) => one.consumer === delivery.consumer)) {
      const state =
        step.ended_at === null ? "unknown: its request may have left" : step.error === null ? "done" : "failed";
      console.log(
        `    step ${plain(step.step)}: ${state}, tried ${counted(step.tries, "time")}, key ${step.idempotency_key}`,
      );
    }
  }
  if (withBody) console.log(`\n${plain(shown(bodyText(message.body)))}`);
}

function printAttempt(attempt: ShownAttempt): void {
  const ranMs = attempt.started_at === null ? undefined : attempt.ended_at.getTime() - attempt.started_at.getTime();
  const ran = ranMs === undefined ? "" : `, ran ${ranMs} ms`;
  const reruns = attempt.reruns > 0 ? `, ${counted(attempt.reruns, "rerun")} for a neighbour's sake` : "";
  console.log(
    `    attempt ${attempt.attempt} ${attempt.outcome} ${shown(attempt.ended_at)}${ran}${reruns} ${plain(attempt.worker ?? "")}`,
  );
  const [first] = (attempt.error ?? "").split("\n");
  if (first !== undefined && first !== "") console.log(coloured("dim", `      ${plain(first.slice(0, 200))}`));
}
