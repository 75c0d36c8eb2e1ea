import type { AxisSpec } from "./plot";
import { niceStep } from "@/lib/stats";

const TIME_STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  .concat([1, 2, 5, 10, 15, 30].map((s) => s * 1e3))
  .concat([1, 2, 5, 10, 15, 30].map((min) => min * 60e3))
  .concat([1, 2, 3, 6, 12, 24].map((h) => h * 3600e3));

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Return a tick's time of day in the viewer's zone, as fine as the distance between ticks needs. */
export function timeLabel(ms: number, step_ms: number): string {
  const at = new Date(ms);
  const minute = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (step_ms >= 24 * 3600e3) return `${two(at.getMonth() + 1)}-${two(at.getDate())} ${minute}`;
  if (step_ms >= 60e3) return minute;
  if (step_ms >= 1e3) return `${minute}:${two(at.getSeconds())}`;
  return `${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** Return round times within a span, in the viewer's zone. */
export function timeSplits([from, to]: [number, number], room_px: number): number[] {
  const wanted = (to - from) / Math.max(2, room_px / 96);
  const step = TIME_STEPS_MS.find((each) => each >= wanted) ?? Math.ceil(wanted / 86_400e3) * 86_400e3;
  const zone = new Date(from).getTimezoneOffset() * 60e3;
  const splits: number[] = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step) splits.push(at);
  return splits;
}

/** Return round values within a span. */
export function roundSplits([low, high]: [number, number], room_px: number): number[] {
  const step = niceStep((high - low) / Math.max(2, room_px / 38));
  const splits: number[] = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-12); k++) splits.push(k * step + 0); // -0 becomes 0
  return splits;
}

/** Return the logarithms of round values within a span of logarithms. */
export function logSplits([low, high]: [number, number], room_px: number): number[] {
  const decades = high - low;
  // under half a decade round values lie about evenly
  if (decades < 0.5) return roundSplits([10 ** low, 10 ** high], room_px).filter((value) => value > 0).map(Math.log10);
  const leads = (decades / 3) * 38 < room_px / 3 ? [1, 2, 5] : [1];
  const splits: number[] = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const lead of leads) splits.push(power + Math.log10(lead));
  }
  return splits.filter((split) => split >= low - 1e-9 && split <= high + 1e-9);
}

/** Return the value whose logarithm a tick stands at. */
export function logLabel(split: number): string {
  return (10 ** split).toLocaleString("en-US", { maximumSignificantDigits: 5 });
}

/** Return a number with the decimals its step needs. */
export function stepLabel(value: number, step: number): string {
  const decimals = step > 0 ? Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9) + (isHalfStep(step) ? 1 : 0))) : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

function isHalfStep(step: number): boolean {
  const lead = step / 10 ** Math.floor(Math.log10(step) + 1e-9);
  return Math.abs(lead - 2.5) < 1e-6;
}

export const TIME_AXIS: AxisSpec = { scale: "x", side: "bottom", size: 30, time: true, splits: timeSplits, label: timeLabel, grid: false };
