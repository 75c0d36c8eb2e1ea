/** Many points over few pixels: the range and mean of each column of pixels, cut where the data has a gap. */

export interface PixelColumns {
  /** Times of the columns' middles, rising. */
  x: Float64Array;
  low: Float64Array;
  mean: Float64Array;
  high: Float64Array;
  /** 1 where a line must not reach this column from the one before. */
  cut: Uint8Array;
  n: number;
}

/** Return room for `capacity` columns, to be filled again and again. */
export function pixelColumns(capacity: number): PixelColumns {
  const column = () => new Float64Array(capacity);
  return { x: column(), low: column(), mean: column(), high: column(), cut: new Uint8Array(capacity), n: 0 };
}

/**
 * Fill `out` with the columns of `values` over times that rise, each `width_ms` wide and starting at a whole multiple of
 * it, so that a scrolling chart does not shimmer. A distance over `gap_ms`, or a value that is NaN, cuts the line.
 */
export function fillColumns(out: PixelColumns, times: Float64Array, values: Float64Array, width_ms: number, gap_ms: number): void {
  let n = -1;
  let bin = NaN;
  let sum = 0;
  let count = 0;
  let last = -Infinity;
  let cut = 1;
  const capacity = out.x.length;
  for (let i = 0; i < times.length; i++) {
    const time = times[i]!;
    const value = values[i]!;
    if (value !== value) {
      cut = 1;
      continue;
    }
    if (time - last > gap_ms) cut = 1;
    last = time;
    const own = Math.floor(time / width_ms);
    if (own !== bin || cut) {
      if (n >= 0) out.mean[n] = sum / count;
      if (n + 1 >= capacity) break;
      n += 1;
      bin = own;
      sum = 0;
      count = 0;
      out.x[n] = (own + 0.5) * width_ms;
      out.low[n] = value;
      out.high[n] = value;
      out.cut[n] = cut;
      cut = 0;
    }
    sum += value;
    count += 1;
    if (value < out.low[n]!) out.low[n] = value;
    if (value > out.high[n]!) out.high[n] = value;
  }
  if (n >= 0 && count) out.mean[n] = sum / count;
  out.n = n + 1;
}

/** Fill `out` with the points as they are: for fewer points than pixels. */
export function fillPoints(out: PixelColumns, times: Float64Array, values: Float64Array, gap_ms: number): void {
  let n = 0;
  let last = -Infinity;
  let cut = 1;
  for (let i = 0; i < times.length && n < out.x.length; i++) {
    const value = values[i]!;
    if (value !== value) {
      cut = 1;
      continue;
    }
    out.x[n] = times[i]!;
    out.low[n] = out.mean[n] = out.high[n] = value;
    out.cut[n] = cut || times[i]! - last > gap_ms ? 1 : 0;
    last = times[i]!;
    cut = 0;
    n += 1;
  }
  out.n = n;
}
