import { CircleCheck, type LucideIcon, OctagonAlert, TriangleAlert } from "lucide-react";
import { type Thresholds, type Verdict, verdict } from "@/lib/prefs";

const LOOK: Record<Verdict, { icon: LucideIcon; word: string; text: string }> = {
  ok: { icon: CircleCheck, word: "good", text: "text-ok" },
  warn: { icon: TriangleAlert, word: "fair", text: "text-warn" },
  bad: { icon: OctagonAlert, word: "slow", text: "text-bad" },
};

/** Return how a latency is shown: colour, shape and word say the same. */
export function look(latency_ms: number, thresholds: Thresholds) {
  return LOOK[verdict(latency_ms, thresholds)];
}

/** Return in words what the thresholds mean. */
export function meaning([ok, slow]: Thresholds): string {
  return `good under ${ok} ms, fair to ${slow} ms, slow above`;
}
