/** Ranges of axes that leave room and do not twitch. */

export type Span = [low: number, high: number];

export interface Room {
  /** Room under and over the data, in heights of the data. */
  below: number;
  above: number;
  /** No lower than this; null for no floor. */
  floor?: number | null;
}

/** Return the range an axis should show for data between `low` and `high`. */
export function roomFor(low: number, high: number, { below, above, floor = 0 }: Room): Span {
  const height = high - low || Math.abs(high) * 0.1 || 1;
  const bottom = low - height * below;
  return [floor === null ? bottom : Math.max(floor, bottom), high + height * above];
}

/**
 * Return the range to show next: the one before for as long as the data fits and fills at least half of what it
 * would be given now, so that an axis moves rarely and then at once.
 */
export function steady(before: Span | null, low: number, high: number, room: Room): Span {
  const wanted = roomFor(low, high, room);
  if (before === null || low < before[0] || high > before[1]) return wanted;
  const shown = before[1] - before[0];
  const needed = wanted[1] - wanted[0];
  return needed < shown * 0.5 || needed > shown * 1.6 ? wanted : before;
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
