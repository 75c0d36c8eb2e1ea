import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "./cn";

export type Tone = "neutral" | "ok" | "warn" | "bad" | "latency" | "power";

const TONE: Record<Tone, string> = {
  neutral: "bg-info-soft text-ink-2",
  ok: "bg-ok-soft text-ok",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
  latency: "bg-info-soft text-latency-ink",
  power: "bg-info-soft text-power-ink",
};

interface BadgeProps {
  tone?: Tone;
  /** The shape that says the same as the colour. */
  icon?: LucideIcon;
  title?: string;
  children: ReactNode;
  className?: string;
}

/** A short fact about the data, with an icon so that colour is never the only sign. */
export function Badge({ tone = "neutral", icon: Icon, title, children, className }: BadgeProps) {
  return (
    <span title={title} className={cn("figures inline-flex h-6 max-w-full items-center gap-1.5 rounded-full px-2.5 text-label font-medium whitespace-nowrap", TONE[tone], className)}>
      {Icon && <Icon aria-hidden className="size-3.5 shrink-0" />}
      <span className="truncate">{children}</span>
    </span>
  );
}
