// Ratios, not absolute figures: subject and baseline run in turn, round after round, on the same machine and database.
import { spawn } from "node:child_process";

export interface Measured {
  /** What is counted, each second. */
  readonly value: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

export interface Row {
  readonly bench: string;
  readonly case: string;
  readonly unit: string;
  readonly value: number;
  readonly baseline: number;
  /** value ÷ baseline of the same round, the median of the rounds. */
  readonly ratio: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly baselineP50Ms: number | null;
  readonly baselineP99Ms: number | null;
}

export interface Case {
  readonly bench: string;
  readonly name: string;
  readonly unit: string;
  /** Takes minutes a round: one round, and only where it is named or all is asked for. */
  readonly long?: boolean;
  subject(round: number): Promise<Measured>;
  baseline(round: number): Promise<Measured>;
}

export async function measure(one: Case, rounds: number, log: (line: string) => void): Promise<Row> {
  const all: { subject: Measured; baseline: Measured; ratio: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    // Who is first changes, so that neither always finds the disk as the other left it.
    let subject: Measured;
    let baseline: Measured;
    if (round % 2 === 0) {
      subject = await one.subject(round);
      baseline = await one.baseline(round);
    } else {
      baseline = await one.baseline(round);
      subject = await one.subject(round);
    }
    const ratio = subject.value / baseline.value;
    all.push({ subject, baseline, ratio });
    log(
      `${one.bench} ${one.name} round ${round + 1}: ${shown(subject)} against ${shown(baseline)}, ${ratio.toFixed(2)}x`,
    );
  }
  const middle = [...all].sort((a, b) => a.ratio - b.ratio)[all.length >> 1];
  if (middle === undefined) throw new Error("no rounds");
  const { subject, baseline, ratio } = middle;
  return {
    bench: one.bench,
    case: one.name,
    unit: one.unit,
    value: rounded(subject.value),
    baseline: rounded(baseline.value),
    ratio: rounded(ratio),
    p50Ms: subject.p50Ms ?? null,
    p99Ms: subject.p99Ms ?? null,
    baselineP50Ms: baseline.p50Ms ?? null,
    baselineP99Ms: baseline.p99Ms ?? null,
  };
}

function shown({ value, p50Ms, p99Ms }: Measured): string {
  return `${Math.round(value)}/s${p50Ms === undefined ? "" : ` (p50 ${p50Ms} ms, p99 ${p99Ms} ms)`}`;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

export function percentile(values: readonly number[], of: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return rounded(sorted[Math.min(sorted.length - 1, Math.floor((of / 100) * sorted.length))] ?? 0);
}

/** Runs a program of ours to its end; what it prints last is its answer as JSON. */
export async function runChild<Answer>(program: string, env: Record<string, string>): Promise<Answer> {
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  const code = await new Promise((resolve) => child.once("close", resolve));
  const last = out.trim().split("\n").at(-1) ?? "";
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${last}`);
  return JSON.parse(last) as Answer;
}
