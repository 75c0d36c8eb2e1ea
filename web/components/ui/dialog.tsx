"use client";

import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { IconButton } from "./button";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
}

/** The browser's own modal dialog: it keeps the focus, and Escape closes it. */
export function Dialog({ open, onClose, title, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (open && !dialog?.open) dialog?.showModal();
    if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === element.current && onClose()}
      className="m-auto w-[min(28rem,calc(100vw-2rem))] rounded-card border border-hairline bg-solid p-0 text-ink shadow-2xl backdrop:bg-black/40"
    >
      <div className="flex items-center justify-between gap-4 border-b border-hairline py-2 pr-2 pl-5">
        <h2 id={id} className="text-body font-semibold">{title}</h2>
        <IconButton icon={X} label="Close" onClick={onClose} />
      </div>
      <div className="p-5">{open && children}</div>
    </dialog>
  );
}
