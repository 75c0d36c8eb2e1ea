import { cn } from "./cn";

interface SegmentedProps<T extends string | number> {
  label: string;
  value: T | null;
  options: readonly { value: T; label: string; title?: string }[];
  onChange: (value: T) => void;
  className?: string;
}

/** One of a few, as a row of toggle buttons; `value` null when none of them holds. */
export function Segmented<T extends string | number>({ label, value, options, onChange, className }: SegmentedProps<T>) {
  return (
    <div role="group" aria-label={label} className={cn("inline-flex h-9 shrink-0 items-center gap-0.5 rounded-control border border-hairline bg-sunken p-0.5", className)}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          title={option.title}
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
          className={cn(
            "figures h-full min-w-9 flex-auto rounded-[7px] px-2.5 text-body font-medium whitespace-nowrap transition-colors duration-150",
            option.value === value ? "bg-solid text-ink shadow-sm" : "text-ink-2 hover:text-ink",
          )}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
