import type { LucideIcon } from "lucide-react";
import type { AnchorHTMLAttributes, ButtonHTMLAttributes, ReactNode } from "react";
import { cn } from "./cn";

type Variant = "primary" | "plain" | "quiet";

const BASE =
  "inline-flex shrink-0 items-center justify-center gap-2 rounded-control text-body font-medium whitespace-nowrap transition-colors duration-150 disabled:opacity-50";
const VARIANT: Record<Variant, string> = {
  primary: "bg-ink text-ground hover:bg-ink-2",
  plain: "border border-hairline-strong/60 bg-solid text-ink hover:bg-sunken",
  quiet: "text-ink-2 hover:bg-info-soft hover:text-ink",
};

/** Return the classes of a button, for elements that only look like one. */
export function buttonClass(variant: Variant = "plain", iconOnly = false): string {
  return cn(BASE, VARIANT[variant], iconOnly ? "size-9" : "h-9 px-3");
}

interface Shared {
  variant?: Variant;
  icon?: LucideIcon;
  children?: ReactNode;
}

/** A button with an optional icon before its words. */
export function Button({ variant = "plain", icon: Icon, children, className, ...rest }: Shared & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <button type="button" className={cn(buttonClass(variant), className)} {...rest}>
      {Icon && <Icon aria-hidden className="size-4" />}
      {children}
    </button>
  );
}

/** A button that is an icon alone; `label` is its name for screen readers and its tooltip. */
export function IconButton({
  icon: Icon,
  label,
  variant = "quiet",
  className,
  ...rest
}: { icon: LucideIcon; label: string; variant?: Variant } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <button type="button" aria-label={label} title={label} className={cn(buttonClass(variant, true), className)} {...rest}>
      <Icon aria-hidden className="size-4.5" />
    </button>
  );
}

/** A link that looks like a button, for downloads and pages. */
export function ButtonLink({ variant = "plain", icon: Icon, children, className, ...rest }: Shared & AnchorHTMLAttributes<HTMLAnchorElement>) {
  return (
    <a className={cn(buttonClass(variant), className)} {...rest}>
      {Icon && <Icon aria-hidden className="size-4" />}
      {children}
    </a>
  );
}
