import type { Latency, Num, SignalSeries } from "@/lib/api";

/** Columns as a chart draws them: x rising, a null where the line must not be bridged. */
export interface Lines {
  x: number[];
  [name: string]: Num[];
}

/** What of an answer's columns is drawn under which name; a band has a low and a high. */
const FRAMES = { latency: "lat_ms", power: "power_w" };
const BUCKETS = {
  latency: "lat_mean_ms",
  latencyLow: "lat_min_ms",
  latencyHigh: "lat_max_ms",
  power: "power_mean_w",
  powerLow: "power_min_w",
  powerHigh: "power_max_w",
};

export function latencyLines(answer: Latency): Lines {
  const names: Record<string, string> = answer.resolution === "frames" ? FRAMES : BUCKETS;
  return broken(pick({ ...answer.columns }, names), answer.gaps);
}

export function signalLines(series: SignalSeries): Lines {
  const names: Record<string, string> =
    "value" in series.columns ? { value: "value" } : { value: "mean", valueLow: "min", valueHigh: "max" };
  return pick({ ...series.columns }, names);
}

function pick(columns: Record<string, Num[]>, names: Record<string, string>): Lines {
  const x = (columns.t_ms ?? []) as number[];
  const lines: Lines = { x };
  for (const [name, column] of Object.entries(names)) lines[name] = columns[column] ?? x.map(() => null);
  return lines;
}

/** The lines with a null in the middle of each gap that has points on both sides. */
export function broken(lines: Lines, gaps: [number, number][]): Lines {
  const at = gaps.map(([from, to]) => (from + to) / 2).filter((middle) => inside(lines.x, middle));
  if (at.length === 0) return lines;
  const order = merge(lines.x, at.sort((a, b) => a - b));
  const result: Lines = { x: order.map(({ x }) => x) };
  for (const [name, values] of Object.entries(lines)) {
    if (name !== "x") result[name] = order.map(({ index }) => (index === null ? null : (values[index] ?? null)));
  }
  return result;
}

function inside(x: number[], value: number): boolean {
  const last = x.at(-1);
  return last !== undefined && value > (x[0] as number) && value < last;
}

function merge(x: number[], extra: number[]): { x: number; index: number | null }[] {
  const order: { x: number; index: number | null }[] = [];
  let next = 0;
  x.forEach((value, index) => {
    while (next < extra.length && (extra[next] as number) < value) order.push({ x: extra[next++] as number, index: null });
    order.push({ x: value, index });
  });
  return order;
}
