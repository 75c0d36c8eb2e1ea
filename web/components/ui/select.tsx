import { ChevronDown } from "lucide-react";
import type { SelectHTMLAttributes } from "react";
import { cn } from "./cn";

interface SelectProps extends Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange"> {
  label: string;
  options: readonly { value: string; label: string }[];
  onChange: (value: string) => void;
}

/** The browser's own select, dressed; its label is for screen readers. */
export function Select({ label, options, onChange, className, ...rest }: SelectProps) {
  return (
    <span className={cn("relative inline-flex min-w-0", className)}>
      <select
        aria-label={label}
        title={label}
        onChange={(event) => onChange(event.target.value)}
        className="h-9 w-full min-w-0 appearance-none truncate rounded-control border border-hairline-strong/60 bg-solid pr-8 pl-3 text-body font-medium text-ink hover:bg-sunken disabled:opacity-60"
        {...rest}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
      <ChevronDown aria-hidden className="pointer-events-none absolute top-2.5 right-2.5 size-4 text-ink-3" />
    </span>
  );
}
