/** What the viewer has chosen, kept in this browser. A value that is damaged or refused is as if never chosen. */

export type Thresholds = readonly [ok_ms: number, slow_ms: number];

const PREFIX = "benchlab.";

/** Return a kept value if `valid` takes it; null otherwise. */
export function load<T>(key: string, valid: (value: unknown) => value is T): T | null {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    return valid(value) ? value : null;
  } catch {
    return null;
  }
}

/** Keep a value; null forgets it. */
export function save(key: string, value: unknown): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // storage is full or refused: the choice lasts as long as the page
  }
}

/** Tell whether a value is a pair of thresholds: two positive numbers of ms, the first below the second. */
export function isThresholds(value: unknown): value is Thresholds {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [ok, slow] = value as unknown[];
  return typeof ok === "number" && typeof slow === "number" && ok > 0 && ok < slow && slow < 1e6;
}

export type Verdict = "ok" | "warn" | "bad";

/** Return what a latency is worth: ok below the first threshold, bad above the second. */
export function verdict(latency_ms: number, [ok, slow]: Thresholds): Verdict {
  if (latency_ms < ok) return "ok";
  return latency_ms > slow ? "bad" : "warn";
}
