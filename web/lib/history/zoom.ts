import type { Range } from "./urls";

/** No stretch is narrower: two frames of a 1000 fps pipeline. */
export const NARROWEST_MS = 2;

/** The stretch `factor` times as wide about its middle, kept within the whole; the whole itself is null. */
export function scaled(range: Range, whole: { from: number; to: number }, factor: number): Range {
  const { from, to } = range ?? whole;
  const middle = (from + to) / 2;
  const half = Math.max(((to - from) / 2) * factor, NARROWEST_MS / 2);
  return within({ from: middle - half, to: middle + half }, whole);
}

/** The stretch moved by a share of its width, stopped at the ends of the whole. */
export function moved(range: Range, whole: { from: number; to: number }, share: number): Range {
  if (!range) return null;
  const width = range.to - range.from;
  const wanted = range.from + width * share;
  const from = Math.min(Math.max(wanted, whole.from), Math.max(whole.from, whole.to - width));
  return within({ from, to: from + width }, whole);
}

/** What of the stretch lies in the whole; null when that is all of it. */
export function within(range: { from: number; to: number }, whole: { from: number; to: number }): Range {
  const from = Math.max(range.from, whole.from);
  const to = Math.min(range.to, whole.to);
  if (to <= from || (from <= whole.from && to >= whole.to)) return null;
  return { from, to };
}

const SHARE = 0.25;

/** What a key does to the stretch that is shown; undefined for a key that does nothing. */
export function rangeOfKey(key: string, range: Range, whole: { from: number; to: number }): Range | undefined {
  if (key === "+" || key === "=") return scaled(range, whole, 0.5);
  if (key === "-") return scaled(range, whole, 2);
  if (key === "<" || key === ",") return moved(range, whole, -SHARE);
  if (key === ">" || key === ".") return moved(range, whole, SHARE);
  return key === "0" ? null : undefined;
}
