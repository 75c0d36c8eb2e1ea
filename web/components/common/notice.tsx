import { CircleAlert, Info, TriangleAlert, Unplug } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/components/ui";
import { clockTime } from "@/lib/format";
import type { Failure } from "@/lib/history/use-api";

const TONE = {
  info: { icon: Info, style: "bg-info-soft text-ink-2" },
  warn: { icon: TriangleAlert, style: "bg-warn-soft text-warn" },
  bad: { icon: CircleAlert, style: "bg-bad-soft text-bad" },
  away: { icon: Unplug, style: "bg-warn-soft text-warn" },
};

/** One line above the data that says what is to be known about them. */
export function Notice({ tone = "info", children }: { tone?: keyof typeof TONE; children: ReactNode }) {
  const { icon: Icon, style } = TONE[tone];
  return (
    <div role="status" className={cn("flex items-start gap-2.5 rounded-control px-3.5 py-2.5", style)}>
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0 flex-1">{children}</div>
    </div>
  );
}

/** What is shown is from before: since when, and what the page does about it. */
export function Disconnected({ failure }: { failure: Failure }) {
  return (
    <Notice tone="away">
      Not connected since {clockTime(failure.since)}: {failure.message} What is shown is from before; the page tries again by itself.
    </Notice>
  );
}
