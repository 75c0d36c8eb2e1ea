import { CircleAlert, Inbox, type LucideIcon, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "./button";
import { cn } from "./cn";

interface EmptyProps {
  icon?: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  className?: string;
}

/** Nothing to show, said kindly: what is missing, and what to do about it. */
export function EmptyState({ icon: Icon = Inbox, title, children, action, className }: EmptyProps) {
  return (
    <div className={cn("flex flex-col items-center justify-center gap-3 px-6 py-10 text-center", className)}>
      <span className="flex size-11 items-center justify-center rounded-full bg-info-soft text-ink-2">
        <Icon aria-hidden className="size-5" />
      </span>
      <h2 className="text-title font-semibold">{title}</h2>
      {children && <div className="max-w-prose text-ink-2">{children}</div>}
      {action}
    </div>
  );
}

interface ErrorProps {
  title: string;
  /** What was found, in the server's words. */
  what: string;
  /** What to do about it. */
  fix?: ReactNode;
  onRetry?: () => void;
  className?: string;
}

/** Something failed: what, and its fix; announced once to screen readers. */
export function ErrorState({ title, what, fix, onRetry, className }: ErrorProps) {
  return (
    <div role="alert" className={cn("flex flex-col items-center gap-3 px-6 py-10 text-center", className)}>
      <span className="flex size-11 items-center justify-center rounded-full bg-bad-soft text-bad">
        <CircleAlert aria-hidden className="size-5" />
      </span>
      <h2 className="text-title font-semibold">{title}</h2>
      <p className="max-w-prose text-ink-2">{what}</p>
      {fix && <div className="max-w-prose text-ink-2">{fix}</div>}
      {onRetry && (
        <Button icon={RotateCw} onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** A block that stands where something will be, in its final size. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("animate-pulse rounded-control bg-info-soft", className)} />;
}
