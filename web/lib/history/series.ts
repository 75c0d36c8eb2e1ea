import type { Line } from "@/components/charts";
import type { Latency, Num, SignalSeries } from "@/lib/api";

/** What a chart over time draws: times that rise, and lines with NaN where they must not be bridged. */
export interface Lines {
  x: Float64Array;
  lines: Line[];
}

type Look = Omit<Line, "y" | "low" | "high">;
type Columns = Record<string, Num[] | undefined>;

const LATENCY: Look = { label: "Latency", unit: "ms", axis: "left", color: "latency" };
const POWER: Look = { label: "Power", unit: "W", axis: "right", color: "power" };

export function latencyLines(answer: Latency): Lines {
  const columns: Columns = { ...answer.columns };
  const order = broken((columns.t_ms ?? []) as number[], answer.gaps);
  const lines =
    answer.resolution === "frames"
      ? [line(LATENCY, order, columns.lat_ms), line(POWER, order, columns.power_w)]
      : [
          line(LATENCY, order, columns.lat_mean_ms, columns.lat_min_ms, columns.lat_max_ms),
          line(POWER, order, columns.power_mean_w, columns.power_min_w, columns.power_max_w),
        ];
  return { x: times(order), lines: lines.filter(({ color, y }) => color === "latency" || y.some(Number.isFinite)) };
}

export function signalLines(series: SignalSeries): Lines {
  const columns: Columns = { ...series.columns };
  const order = broken((columns.t_ms ?? []) as number[], []);
  const color = series.unit === "W" ? "power" : "latency";
  const look: Look = { label: series.key, unit: series.unit ?? "", axis: "left", color };
  const drawn = columns.value ? line(look, order, columns.value) : line(look, order, columns.mean, columns.min, columns.max);
  return { x: times(order), lines: [drawn] };
}

/** A time, and the row it is from; none for a time at which lines are cut. */
export interface Place {
  x: number;
  row: number | null;
}

/** The rows in their order, with a cut in the middle of each gap that has rows on both sides. */
export function broken(x: number[], gaps: [number, number][]): Place[] {
  const rows: Place[] = x.map((time, row) => ({ x: time, row }));
  const [first, last] = [x[0], x.at(-1)];
  if (first === undefined || last === undefined) return rows;
  const middles = gaps.map(([from, to]) => (from + to) / 2).filter((middle) => middle > first && middle < last);
  return [...rows, ...middles.map((middle) => ({ x: middle, row: null }))].sort((a, b) => a.x - b.x);
}

const times = (order: Place[]) => Float64Array.from(order, ({ x }) => x);

function line(look: Look, order: Place[], mean: Num[] = [], low?: Num[], high?: Num[]): Line {
  const values = (column: Num[]) => Float64Array.from(order, ({ row }) => (row === null ? NaN : (column[row] ?? NaN)));
  return { ...look, y: values(mean), ...(low && high && { low: values(low), high: values(high) }) };
}
