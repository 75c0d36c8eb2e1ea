/** What one page shows of a model: the rows of a range of time, and every figure drawn from them. */

import type { Hello, Num, Pair } from "../api";
import * as stats from "../stats";
import type { Frozen, Model } from "./model";

export interface Range {
  from: number;
  to: number;
}

export interface View extends Range {
  session: string | null;
  hello: Hello | null;
  pair: Pair | null;
  t: Float64Array;
  lat: Float64Array;
  power: Float64Array;
  energy: Float64Array;
  frame: Float64Array;
  unc: Float64Array;
  why: Float64Array;
  sim: boolean;
  drops: { t: Float64Array; frame: Float64Array; reason: Float64Array; stage: Float64Array };
  words: readonly string[];
  /** A distance between two frames beyond this is a gap; NaN under two frames. */
  gap_ms: number;
  gaps: [from: number, to: number][];
}

const GAP_INTERVALS = 10;
const SHORTEST_GAP_MS = 250;

/** Return the distance between frames that counts as a gap: ten usual ones, a quarter of a second at least. */
export function gapLimit(times: Float64Array): number {
  return Math.max(SHORTEST_GAP_MS, GAP_INTERVALS * stats.usualInterval(times));
}

/** Return the stretches between two frames that are longer than `limit`. */
export function gapsOf(times: Float64Array, limit: number): [number, number][] {
  const gaps: [number, number][] = [];
  for (let i = 1; i < times.length; i++) {
    if (times[i]! - times[i - 1]! > limit) gaps.push([times[i - 1]!, times[i]!]);
  }
  return gaps;
}

/** Return the rows of `range`, from what is frozen if the page is paused. */
export function viewOf(model: Model, range: Range): View {
  const held: Model | Frozen = model.frozen ?? model;
  const { frames, drops } = held;
  const [first, last] = bounds(frames.column("t"), range);
  const [dropFirst, dropLast] = bounds(drops.column("t"), range);
  const t = frames.column("t", first, last);
  const gap_ms = gapLimit(t);
  return {
    ...range,
    session: held.session,
    hello: held.hello,
    pair: model.pair,
    t,
    lat: frames.column("lat", first, last),
    power: frames.column("power", first, last),
    energy: frames.column("energy", first, last),
    frame: frames.column("frame", first, last),
    unc: frames.column("unc", first, last),
    why: frames.column("why", first, last),
    sim: frames.column("sim", first, last).includes(1),
    drops: {
      t: drops.column("t", dropFirst, dropLast),
      frame: drops.column("frame", dropFirst, dropLast),
      reason: drops.column("reason", dropFirst, dropLast),
      stage: drops.column("stage", dropFirst, dropLast),
    },
    words: model.words,
    gap_ms,
    gaps: gapsOf(t, gap_ms),
  };
}

function bounds(times: Float64Array, range: Range): [number, number] {
  const first = stats.lowerBound(times, range.from);
  let last = stats.lowerBound(times, range.to);
  while (last < times.length && times[last] === range.to) last += 1;
  return [first, last];
}

/** The last frame of what is shown. */
export interface Newest {
  lat: Num;
  power: Num;
}

/** Return the last of rows, null of none. */
export function newestOf(lat: Float64Array, power: Float64Array): Newest | null {
  const last = lat.length - 1;
  return last < 0 ? null : { lat: real(lat[last]!), power: real(power[last]!) };
}

/** One figure of a card: its value, from how many readings, where it is going. */
export interface Figure {
  value: Num;
  n: number;
  /** Newer half of the range less the older half, in the value's own unit. */
  trend: Num;
  /** The same figure over equal slices of the range; NaN where a slice has none. */
  spark: Float64Array;
}

export interface Figures {
  /** The view that the figures are of. */
  of: View;
  min: Figure;
  max: Figure;
  mean: Figure;
  p95: Figure;
  p99: Figure;
  power: Figure;
  energy: Figure;
  latencies: stats.Summary | null;
  powers: stats.Summary | null;
  energies: stats.Summary | null;
  energy_total: Num;
  /** Latencies in ascending order, which the distributions are drawn from. */
  ordered: Float64Array;
  correlation: number;
}

const SLICES = 32;

function real(value: number): Num {
  return Number.isFinite(value) ? value : null;
}

function slices(view: View, column: Float64Array, count: number): Float64Array[] {
  const cuts = Array.from({ length: count + 1 }, (_, i) => stats.lowerBound(view.t, view.from + ((view.to - view.from) * i) / count));
  cuts[count] = view.t.length;
  return cuts.slice(1).map((cut, i) => column.subarray(cuts[i]!, cut));
}

type Measure = (values: Float64Array) => number;

interface Parts {
  whole: Float64Array;
  halves: Float64Array[];
  thin: Float64Array[];
}

function parts(view: View, column: Float64Array): Parts {
  return { whole: column, halves: slices(view, column, 2), thin: slices(view, column, SLICES) };
}

/** The same in ascending order; only the slices are sorted. */
function orderedParts(view: View, column: Float64Array): Parts {
  const thin = slices(view, column, SLICES).map(stats.sorted);
  const halves = [thin.slice(0, SLICES / 2), thin.slice(SLICES / 2)].map(stats.merged);
  return { whole: stats.merged(halves), halves, thin };
}

function figure({ whole, halves, thin }: Parts, measure: Measure): Figure {
  const [older, newer] = halves.map(measure);
  return {
    value: real(measure(whole)),
    n: stats.countOf(whole),
    trend: real(newer! - older!),
    spark: Float64Array.from(thin, measure),
  };
}

/** Return every figure of a view. */
export function figuresOf(view: View): Figures {
  const lat = orderedParts(view, view.lat);
  const energies = stats.summary(stats.sorted(view.energy));
  return {
    of: view,
    min: figure(lat, (ordered) => ordered[0] ?? NaN),
    max: figure(lat, (ordered) => ordered[ordered.length - 1] ?? NaN),
    mean: figure(lat, stats.mean),
    p95: figure(lat, (ordered) => stats.percentile(ordered, 95)),
    p99: figure(lat, (ordered) => stats.percentile(ordered, 99)),
    power: figure(parts(view, view.power), stats.mean),
    energy: figure(parts(view, view.energy), stats.mean),
    latencies: stats.summary(lat.whole),
    powers: stats.summary(stats.sorted(view.power)),
    energies,
    energy_total: energies ? energies.mean * energies.n : null,
    ordered: lat.whole,
    correlation: stats.correlation(view.lat, view.power),
  };
}

/** Return why power is absent most often in a view, in the recorder's own word; null where it never is. */
export function absentPower(view: View): string | null {
  const counts = new Map<number, number>();
  for (let i = 0; i < view.why.length; i++) {
    if (Number.isNaN(view.power[i]!)) counts.set(view.why[i]!, (counts.get(view.why[i]!) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most ? view.words[most[0]] || null : null;
}
