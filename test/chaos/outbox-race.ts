// Writers that send in their own transactions and are killed around them, while workers process what was sent.
//
// The oracle is a row that each transaction writes itself, beside what it sends: a mark. What has a mark was committed and must
// take effect; what has none must not. How a COMMIT was answered, as its client saw it, says the same where it was answered.
import { WRITER_POINTS } from "./failpoints.ts";
import type { Player } from "./player.ts";
import { type ChaosOptions, pause, type Played, Run } from "./run.ts";
import type { Scenario } from "./scenarios.ts";

/** Half of them are starting again at any time. */
const WRITERS = 4;
const WORKERS = 2;
const MARKS = `
alter table chaos_effect add column at timestamptz not null default clock_timestamp();
create table chaos_marker (
  mark text not null, kind text not null, key text, message text not null, outcome text not null,
  sent_at timestamptz not null, marked_at timestamptz not null
);`;

interface Marker {
  readonly mark: string;
  readonly kind: string;
  readonly key: string | null;
  readonly message: string;
  readonly outcome: string;
  readonly sent: number;
  readonly marked: number;
}

interface Effect {
  readonly mark: string;
  readonly times: number;
  readonly at: number;
}

class Race extends Run {
  readonly offered = new Set<string>();
  /** By the answer that its COMMIT got; what was killed before has none. */
  readonly answers: Record<"committed" | "rolled-back" | "failed" | "unknown", Set<string>> = {
    committed: new Set(),
    "rolled-back": new Set(),
    failed: new Set(),
    unknown: new Set(),
  };
  writers: Player[] = [];
  readonly #up = new Set<Player>();

  async start(): Promise<void> {
    await this.open();
    await this.pool.query(MARKS);
    const workers = Array.from({ length: WORKERS }, () => this.player("worker", {}, undefined, SCRIPT));
    await Promise.all(workers.map((one) => one.ready));
    this.writers = Array.from({ length: WRITERS }, () => this.writer());
    await Promise.all(this.writers.map((one) => one.ready));
  }

  writer(): Player {
    const env = { CHAOS_SEED: String(Math.floor(this.random() * 2 ** 31)) };
    const player = this.player(
      "writer",
      env,
      (report) => {
        if ("offered" in report) for (const mark of report.offered) this.offered.add(mark);
        if ("answered" in report) for (const mark of report.answered) this.answers[report.as].add(mark);
      },
      SCRIPT,
    );
    void player.ready.then(() => this.#up.add(player));
    void player.ended.then(() => {
      this.#up.delete(player);
      if (!this.stopping) this.writers[this.writers.indexOf(player)] = this.writer();
    });
    return player;
  }

  /** One of them stands at a point; it is killed there, or its session is ended. */
  async fault(n: number): Promise<void> {
    const point = WRITER_POINTS[n % WRITER_POINTS.length] ?? "sent";
    const kills = Math.floor(n / WRITER_POINTS.length) % 2 === 0;
    for (;;) {
      // Whoever is up: one that was killed starts again meanwhile.
      const up = this.writers.filter((one) => one.alive && this.#up.has(one));
      const writer = up[Math.floor(this.random() * up.length)];
      if (writer === undefined) {
        await pause(20);
        continue;
      }
      const hit = await writer.reaches(point, 10_000);
      if (hit?.of === undefined) continue;
      this.hit(point);
      if (kills) {
        writer.signal("SIGKILL");
        await writer.ended;
        return;
      }
      // Before COMMIT the two race: it may be first, or second.
      const ended = this.rows(`select pg_terminate_backend(${Number(hit.of)})`);
      if (point !== "before-commit") await ended;
      writer.order({ release: true });
      await ended;
      return;
    }
  }

  /** Some more are committed and processed before the next fault: writers that are killed as soon as they are up prove little. */
  override async goesOn(): Promise<void> {
    const before = this.answers.committed.size;
    for (let i = 0; i < 10 && this.answers.committed.size < before + 5; i++) await pause(50);
    await super.goesOn();
  }

  /** They end at once: what they had not committed never will be, once their sessions have gone. */
  async endWriters(): Promise<void> {
    this.stopping = true;
    const last = this.writers.filter((one) => one.alive);
    for (const writer of last) writer.signal("SIGKILL");
    await Promise.all(last.map((one) => one.ended));
    this.stopping = false;
    const theirs = `select from pg_stat_activity where datname = current_database() and application_name = 'chaos-writer'`;
    for (let i = 0; i < 200 && (await this.rows(theirs)).rows.length > 0; i++) await pause(50);
  }
}

const SCRIPT = "test/chaos/outbox-process.ts";

async function play(options: ChaosOptions): Promise<Played> {
  const race = new Race(options);
  const began = performance.now();
  try {
    await race.start();
    for (let n = 0; n < options.count; n++) {
      await race.fault(n);
      await race.faulted(race.answers.committed.size);
      await race.goesOn();
    }
    // The longest hold is seen through.
    await pause(options.count >= 50 ? 4_000 : 1_000);
    await race.endWriters();
    const drained = await race.settled();
    await race.sawTheLast();
    return await verdict(race, drained, began);
  } finally {
    await race.stop();
  }
}

async function verdict(race: Race, drained: boolean, began: number): Promise<Played> {
  const { unexpected, answers, options } = race;
  const markers = (
    await race.rows<Marker>(
      `select mark, kind, key, message, outcome, extract(epoch from sent_at)::float8 as sent, extract(epoch from marked_at)::float8 as marked
       from chaos_marker`,
    )
  ).rows;
  const effects = (
    await race.rows<Effect>(
      `select message as mark, count(*)::int as times, extract(epoch from min(at))::float8 as at
       from chaos_effect group by message`,
    )
  ).rows;
  const times = new Map(effects.map((one) => [one.mark, one.times]));
  const committed = new Set(markers.map(({ mark }) => mark));
  const had = (mark: string): number => times.get(mark) ?? 0;

  const lost = new Set<string>();
  const doubled = new Set(effects.filter((one) => one.times > 1).map(({ mark }) => mark));
  for (const { mark } of effects)
    if (!committed.has(mark)) unexpected.push(`an effect of ${mark}, which was never committed`);
  for (const mark of answers.committed)
    if (!committed.has(mark)) unexpected.push(`${mark} was committed and has no row`);
  for (const as of ["rolled-back", "failed"] as const) {
    // A key that others have committed is theirs.
    for (const mark of answers[as])
      if (committed.has(mark) && !mark.startsWith("keyed")) unexpected.push(`${mark} was ${as} and has a row`);
  }
  const accepted = new Set(markers.filter((one) => one.outcome !== "ignored").map((one) => one.message));
  for (const { mark, kind, outcome, message } of markers) {
    if (outcome === "ignored") {
      if (had(mark) > 0) unexpected.push(`${mark} was ignored and took effect`);
      // In favour of one that was never there: then neither is done.
      if (!accepted.has(message)) lost.add(mark);
    } else if (kind !== "race-replace" && had(mark) === 0) lost.add(mark);
  }
  for (const [key, left] of leftOfReplaced(markers, had)) {
    for (let n = 0; n < left; n++) lost.add(`${key} ${n}`);
    if (left < 0) unexpected.push(`${-left} under the key ${key} took effect although they were replaced`);
  }
  unexpected.push(...unproved(race, markers, effects));
  const counts = {
    attempted: race.offered.size,
    acked: answers.committed.size,
    effects: effects.reduce((sum, one) => sum + one.times, 0),
    lost: lost.size,
    doubled: doubled.size,
  };
  options.log(`outbox-race: ${committed.size} committed, ${answers.unknown.size} of them or of none unknown`);
  return { result: race.result(counts, { drained, ms: performance.now() - began }), unexpected };
}

/** Each that replaced another one ended one and began one: under a key as many take effect as were accepted. */
function leftOfReplaced(markers: readonly Marker[], had: (mark: string) => number): ReadonlyMap<string, number> {
  const left = new Map<string, number>();
  for (const { mark, kind, key, outcome } of markers) {
    if (kind !== "race-replace" || key === null) continue;
    left.set(key, (left.get(key) ?? 0) + (outcome === "accepted" ? 1 : 0) - had(mark));
  }
  return left;
}

/** What a run has to show that it proves something. */
function unproved(race: Race, markers: readonly Marker[], effects: readonly Effect[]): readonly string[] {
  const { options, answers } = race;
  if (options.canary !== undefined) return [];
  race.allHit(WRITER_POINTS, options.count >= 100 ? 10 : 1);
  const late = lateOnes(markers, effects);
  options.log(`outbox-race: ${late} were committed after one that was sent later had been claimed`);
  const found: string[] = [];
  if (late < (options.count >= 100 ? 50 : 1)) found.push(`${late} late commits: nothing was proved`);
  if (answers["rolled-back"].size === 0) found.push("nothing was rolled back: nothing was proved");
  if (options.count >= 100 && answers.unknown.size === 0) found.push("no COMMIT was unknown: nothing was proved");
  const outcomes = new Set(markers.map((one) => one.outcome));
  for (const outcome of options.count >= 100 ? ["duplicate", "ignored", "replaced"] : []) {
    if (!outcomes.has(outcome)) found.push(`none was ${outcome}: nothing was proved`);
  }
  return found;
}

/** Sent before, and committed after, one of the same consumer that was already being processed. */
function lateOnes(markers: readonly Marker[], effects: readonly Effect[]): number {
  const at = new Map(effects.map((one) => [one.mark, one.at]));
  const earliest = new Map<string, number>();
  let late = 0;
  for (const { mark, kind, marked } of [...markers].sort((a, b) => b.sent - a.sent)) {
    if ((earliest.get(kind) ?? Infinity) < marked) late++;
    earliest.set(kind, Math.min(earliest.get(kind) ?? Infinity, at.get(mark) ?? Infinity));
  }
  return late;
}

export const outboxRace: Scenario = {
  about: "writers that send in their own transactions, killed around send and COMMIT",
  needs: {},
  canaries: ["cursor", "send-apart", "send-after"],
  play,
};
