import type { Source } from "@/lib/api";

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
