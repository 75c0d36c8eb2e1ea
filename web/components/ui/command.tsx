"use client";

import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { IconButton } from "./button";

/** A command to run, with a button that copies it. */
export function Command({ children }: { children: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(children);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch {
      // the clipboard is refused: the text can still be selected
    }
  };
  return (
    <div className="flex max-w-full items-center gap-1 rounded-control border border-hairline bg-sunken py-1 pr-1 pl-3 text-left">
      <code className="min-w-0 flex-1 py-1.5 font-mono text-label break-words whitespace-pre-wrap text-ink select-all">{children}</code>
      <IconButton icon={copied ? Check : Copy} label={copied ? "Copied" : "Copy the command"} onClick={() => void copy()} />
    </div>
  );
}
