import type { ReactNode } from "react";
import { cn } from "./cn";

interface CardProps {
  title?: ReactNode;
  /** One quiet line under the title: what is shown, over what. */
  note?: ReactNode;
  actions?: ReactNode;
  children?: ReactNode;
  className?: string;
  /** Classes of the body; "" for none. */
  body?: string;
  id?: string;
}

/** A glass surface with an optional heading row; what lies in it is the page's own. */
export function Card({ title, note, actions, children, className, body = "p-4", id }: CardProps) {
  const headed = title !== undefined || actions !== undefined;
  return (
    <section id={id} aria-labelledby={id && headed ? `${id}-title` : undefined} className={cn("glass flex min-w-0 flex-col rounded-card", className)}>
      {headed && (
        <header className="flex min-h-12 flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 pt-3">
          <div className="min-w-0">
            <h2 id={id && `${id}-title`} className="text-body font-semibold text-ink">{title}</h2>
            {note !== undefined && <p className="text-label text-ink-3">{note}</p>}
          </div>
          {actions}
        </header>
      )}
      <div className={cn("min-w-0 flex-1", body)}>{children}</div>
    </section>
  );
}
