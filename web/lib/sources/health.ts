import type { Source } from "@/lib/api";
import { duration, number } from "@/lib/format";

export type Health = "up" | "stale" | "absent" | "unknown";

/** The words for how a source fares. */
export const HEALTH: Record<Health, { word: string; means: string }> = {
  up: { word: "up", means: "it gives readings" },
  stale: { word: "stale", means: "its last reading is older than it should be" },
  absent: { word: "absent", means: "it cannot be read" },
  unknown: { word: "unknown", means: "its collector says nothing of it" },
};

/** How a source fares: what its collector says comes first, then the age of its last reading. */
export function healthOf(source: Pick<Source, "up" | "stale" | "last_ms">): Health {
  if (source.up === false) return "absent";
  if (source.stale) return "stale";
  return source.up || source.last_ms !== null ? "up" : "unknown";
}

/** An age whose width does not change at each tick; a viewer's clock that is behind makes none negative. */
export function age(ms: number | null): string {
  if (ms === null) return "–";
  return ms < 9950 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : duration(Math.round(ms / 1000) * 1000);
}

/** How far a time may be off: "± 0.75 ms", "± 20 µs". */
export function uncertainty(ms: number | null): string {
  if (ms === null) return "–";
  if (ms < 0.001) return "< 1 µs";
  if (ms < 0.1) return `± ${number(ms * 1000, 2)} µs`;
  return ms < 10 ? `± ${number(ms)} ms` : `± ${duration(ms)}`;
}
