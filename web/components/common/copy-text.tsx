"use client";

import { Check, Copy } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { IconButton, cn } from "@/components/ui";

/** Copies to the clipboard; where that is not allowed (no https, not localhost), selects the text instead. */
async function copy(text: string, node: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (node) getSelection()?.selectAllChildren(node);
    return false;
  }
}

/** A command or another text to be used elsewhere, with a button that copies it. */
export function CopyText({ text, className }: { text: string; className?: string }) {
  const node = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <span className={cn("flex max-w-full items-start gap-1 rounded-control bg-sunken py-0.5 pr-0.5 pl-3 text-left", className)}>
      <code ref={node} className="min-w-0 flex-1 py-2 font-mono text-label break-words whitespace-pre-wrap text-ink">
        {text}
      </code>
      <IconButton icon={copied ? Check : Copy} label={copied ? "Copied" : "Copy"} onClick={async () => setCopied(await copy(text, node.current))} />
    </span>
  );
}
