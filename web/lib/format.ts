/** Numbers, times and sizes as people read them. An absent value is the word for it, never 0. */

export const ABSENT = "absent";
const NARROW = " ";

type Value = number | null | undefined;

function known(value: Value): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** Return a number with as many decimals as give about `digits` significant figures; stable in width for a range. */
export function number(value: Value, digits = 3): string {
  if (!known(value)) return ABSENT;
  const size = Math.abs(value);
  const whole = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  const decimals = Math.max(0, Math.min(digits, digits - whole));
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Return a count with thousands separated. */
export function count(value: Value): string {
  return known(value) ? Math.round(value).toLocaleString("en-US") : ABSENT;
}

/** A number apart from its unit, so that the unit can be set small beside it. */
export interface Quantity {
  value: string;
  unit: string;
}

/** Return latency: ms with two decimals under 100, one under 1,000, then seconds. */
export function latency(ms: Value): Quantity {
  if (!known(ms)) return { value: ABSENT, unit: "" };
  const size = Math.abs(ms);
  if (size >= 10_000) return { value: (ms / 1000).toFixed(2), unit: "s" };
  return { value: ms.toFixed(size < 100 ? 2 : size < 1000 ? 1 : 0), unit: "ms" };
}

/** Return power in watts, one decimal. */
export function power(w: Value): Quantity {
  if (!known(w)) return { value: ABSENT, unit: "" };
  return { value: w.toFixed(Math.abs(w) < 10 ? 2 : Math.abs(w) < 1000 ? 1 : 0), unit: "W" };
}

/** Return energy in J, or mJ under one joule. */
export function energy(j: Value): Quantity {
  if (!known(j)) return { value: ABSENT, unit: "" };
  const size = Math.abs(j);
  if (size >= 1_000_000) return { value: (j / 1e6).toFixed(2), unit: "MJ" };
  if (size >= 10_000) return { value: (j / 1e3).toFixed(2), unit: "kJ" };
  return size < 1 ? { value: (j * 1000).toFixed(size < 0.1 ? 1 : 0), unit: "mJ" } : { value: j.toFixed(size < 100 ? 2 : 1), unit: "J" };
}

/** Return a quantity as one text with a space that does not break. */
export function text(quantity: Quantity): string {
  return quantity.unit ? `${quantity.value}${NARROW}${quantity.unit}` : quantity.value;
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Return a size in binary units. */
export function bytes(value: Value): string {
  if (!known(value)) return ABSENT;
  const step = value < 1 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** step;
  return `${step === 0 ? scaled : number(scaled, 3)}${NARROW}${SIZES[step]}`;
}

/** Return a length of time in its two largest units: 340 ms, 12.3 s, 4 min 5 s, 3 h 12 min, 2 d 4 h. */
export function duration(ms: Value): string {
  if (!known(ms)) return ABSENT;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 1000) return `${ms < 10 ? number(ms, 2) : Math.round(ms)}${NARROW}ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}${NARROW}s`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${NARROW}${unit}`)
    .join(" ");
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}

/** Return a time of day in the viewer's zone: 14:03:22, or 14:03:22.123 with `fraction`. */
export function clockTime(ms: Value, fraction = false): string {
  if (!known(ms)) return ABSENT;
  const date = new Date(ms);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return fraction ? `${time}.${pad(date.getMilliseconds(), 3)}` : time;
}

/** Return a day and time in the viewer's zone: 2026-03-01 14:03:22. */
export function dateTime(ms: Value): string {
  if (!known(ms)) return ABSENT;
  const date = new Date(ms);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clockTime(ms)}`;
}

/** Return a pair as people say it: ingress → encoded. */
export function pairName(pair: readonly [string, string] | null | undefined): string {
  return pair ? `${pair[0]} → ${pair[1]}` : ABSENT;
}

const WHY: Record<string, string> = {
  gap: "the power readings have a gap here",
  before_first: "before the first power reading",
  after_last: "no power reading after it yet",
  no_source: "no power source is recording",
};

/** Return the reason a value is absent in words; an unknown reason is shown as it stands. */
export function why(reason: string | null | undefined): string {
  return reason ? (WHY[reason] ?? reason) : "no reading";
}
