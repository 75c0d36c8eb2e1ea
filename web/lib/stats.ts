/**
 * Statistics of plain numbers; pure functions over typed arrays, NaN is an absent value.
 *
 * Percentiles are Hyndman and Fan's type 7 (rank p / 100 * (n - 1)), the same as the recorder's own tools, NumPy,
 * pandas and DuckDB's quantile_cont use, so that figures can be compared with theirs.
 */

export interface Summary {
  n: number;
  min: number;
  mean: number;
  max: number;
  p50: number;
  p95: number;
  p99: number;
}

/** Return the values that are there, in ascending order, in an array of their own. */
export function sorted(values: Float64Array): Float64Array {
  const kept = new Float64Array(values.length);
  let n = 0;
  for (const value of values) if (!Number.isNaN(value)) kept[n++] = value;
  return kept.subarray(0, n).sort();
}

/** Return the values of arrays in ascending order as one array in ascending order; much cheaper than sorting anew. */
export function merged(parts: readonly Float64Array[]): Float64Array {
  if (parts.length < 2) return parts[0] ?? new Float64Array();
  const middle = parts.length >> 1;
  const a = merged(parts.slice(0, middle));
  const b = merged(parts.slice(middle));
  const out = new Float64Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let k = 0; k < out.length; k++) out[k] = j >= b.length || (i < a.length && a[i]! <= b[j]!) ? a[i++]! : b[j++]!;
  return out;
}

/** Return the `p`-th percentile, 0 to 100, of values in ascending order; NaN of none. */
export function percentile(ordered: Float64Array, p: number): number {
  if (!(p >= 0 && p <= 100)) throw new RangeError(`percentile ${p}: expected 0 to 100`);
  if (ordered.length === 0) return NaN;
  const rank = (p / 100) * (ordered.length - 1);
  const below = Math.floor(rank);
  const low = ordered[below]!;
  const high = ordered[Math.min(below + 1, ordered.length - 1)]!;
  return low === high ? low : low + (high - low) * (rank - below);
}

/** Return the mean of the values that are there; NaN of none. */
export function mean(values: Float64Array): number {
  let sum = 0;
  let n = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    sum += value;
    n += 1;
  }
  return n ? sum / n : NaN;
}

/** Return how many values are there. */
export function countOf(values: Float64Array): number {
  let n = 0;
  for (const value of values) if (!Number.isNaN(value)) n += 1;
  return n;
}

/** Return count, extremes, mean and percentiles of values in ascending order; null of none. */
export function summary(ordered: Float64Array): Summary | null {
  if (ordered.length === 0) return null;
  return {
    n: ordered.length,
    min: ordered[0]!,
    mean: mean(ordered),
    max: ordered[ordered.length - 1]!,
    p50: percentile(ordered, 50),
    p95: percentile(ordered, 95),
    p99: percentile(ordered, 99),
  };
}

/** Return the first index whose value is not below `limit`, in values that rise. */
export function lowerBound(rising: Float64Array, limit: number): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return the index of the value nearest to `wanted`, in values that rise; -1 of none. */
export function nearest(rising: Float64Array, wanted: number): number {
  if (rising.length === 0) return -1;
  const above = Math.min(lowerBound(rising, wanted), rising.length - 1);
  return above > 0 && wanted - rising[above - 1]! <= rising[above]! - wanted ? above - 1 : above;
}

export interface Bins {
  /** One more than there are counts. */
  edges: Float64Array;
  counts: Float64Array;
  /** True if the last bin also holds everything beyond it. */
  over: boolean;
}

const STEPS = [1, 2, 2.5, 5, 10];

/** Return the round step (1, 2, 2.5 or 5 times a power of ten) that is at least `raw`. */
export function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * (STEPS.find((step) => step * power >= raw * (1 - 1e-9)) ?? 10);
}

/**
 * Return a histogram of values in ascending order with about `target` bins of one round width; null of none.
 * A long tail does not flatten the rest: what lies far beyond the 99th percentile is counted in the last bin.
 */
export function histogram(ordered: Float64Array, target = 36): Bins | null {
  if (ordered.length === 0) return null;
  const low = ordered[0]!;
  const max = ordered[ordered.length - 1]!;
  const p99 = percentile(ordered, 99);
  const spread = p99 - low;
  const over = max > p99 + Math.max(spread, Math.abs(p99) * 0.1);
  const high = over ? p99 + spread * 0.35 : max;
  const equal = high === low;
  const step = equal ? niceStep(Math.max(Math.abs(high) * 0.01, 0.001)) : niceStep((high - low) / target);
  // equal values stand in the middle of some empty bins, which shows their size
  const beside = equal ? 6 : 0;
  const first = Math.floor(low / step + 1e-9) - beside;
  const bins = Math.floor(high / step + 1e-9) - first + 1 + beside;
  const edges = Float64Array.from({ length: bins + 1 }, (_, i) => (first + i) * step);
  const counts = new Float64Array(bins);
  for (const value of ordered) {
    const bin = Math.floor(value / step + 1e-9) - first;
    counts[Math.min(bins - 1, Math.max(0, bin))]! += 1;
  }
  return { edges, counts, over };
}

export interface Curve {
  /** Percentiles, rising. */
  p: Float64Array;
  value: Float64Array;
}

/** Return the highest percentile that `n` values can tell apart from their maximum. */
export function finestPercentile(n: number): number {
  return n < 2 ? 0 : 100 * (1 - 1 / n);
}

/** Return where a percentile stands on an axis that gives the tail room: 0, 90, 99, 99.9 are evenly apart. */
export function tailPosition(p: number): number {
  return -Math.log10(1 - p / 100);
}

/** Return the percentile curve of values in ascending order, evenly spaced on the tail's axis; null of none. */
export function percentileCurve(ordered: Float64Array, points = 160): Curve | null {
  if (ordered.length === 0) return null;
  const end = tailPosition(finestPercentile(ordered.length));
  const p = Float64Array.from({ length: points }, (_, i) => 100 * (1 - 10 ** -((end * i) / (points - 1))));
  return { p, value: p.map((each) => percentile(ordered, Math.min(100, each))) };
}

/** Return the rank of a value among values in ascending order as a percentile, 0 to 100; NaN of none. */
export function rankOf(ordered: Float64Array, value: number): number {
  if (ordered.length < 2) return ordered.length ? 0 : NaN;
  return (100 * Math.min(lowerBound(ordered, value), ordered.length - 1)) / (ordered.length - 1);
}

/** Return Pearson's correlation of two columns where both have a value; NaN under three such rows. */
export function correlation(a: Float64Array, b: Float64Array): number {
  let n = 0;
  let meanA = 0;
  let meanB = 0;
  let varA = 0;
  let varB = 0;
  let both = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    n += 1;
    const dx = x - meanA;
    meanA += dx / n;
    varA += dx * (x - meanA);
    const dy = y - meanB;
    meanB += dy / n;
    varB += dy * (y - meanB);
    both += dx * (y - meanB);
  }
  return n < 3 || varA <= 0 || varB <= 0 ? NaN : both / Math.sqrt(varA * varB);
}

/** Return the usual distance between times that rise; NaN under two. A sample of the distances is enough. */
export function usualInterval(rising: Float64Array): number {
  const distances = rising.length - 1;
  if (distances < 1) return NaN;
  const stride = Math.max(1, Math.floor(distances / 500));
  const sample = new Float64Array(Math.ceil(distances / stride));
  for (let i = 0; i < sample.length; i++) sample[i] = rising[i * stride + 1]! - rising[i * stride]!;
  return percentile(sample.sort(), 50);
}
