/** Ranges of axes that leave room and do not twitch. */

export type Span = [low: number, high: number];

export interface Room {
  /** Room under and over the data, in heights of the data. */
  below: number;
  above: number;
  /** No lower than this; null for no floor. */
  floor?: number | null;
}

/** Return the range an axis should show around what it is made for. */
export function roomFor([low, high]: Span, { below, above, floor = 0 }: Room): Span {
  const height = high - low;
  const bottom = low - height * below;
  return [floor === null ? bottom : Math.max(floor, bottom), high + height * above];
}

const SLACK = 0.04;

/**
 * Return the range to make an axis for: the one before for as long as the data fits and fills half of it, so that an
 * axis moves rarely and then at once.
 */
export function steady(before: Span | null, [low, high]: Span): Span {
  if (before && low >= before[0] && high <= before[1] && high - low >= (before[1] - before[0]) * 0.5) return before;
  const height = high - low || Math.abs(high) * 0.1 || 1;
  const middle = (low + high) / 2;
  const half = height * (0.5 + SLACK);
  return [middle - half, middle + half];
}

/** Return the extremes of the values that are there; null of none. */
export function extent(values: Float64Array): Span | null {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}
