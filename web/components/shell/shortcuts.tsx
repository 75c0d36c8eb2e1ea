"use client";

import { Keyboard } from "lucide-react";
import { Fragment, useEffect, useState } from "react";
import { Dialog, IconButton } from "@/components/ui";
import { setTheme, theme } from "@/lib/theme";

const KEYS: [group: string, keys: [string, string][]][] = [
  ["Live page", [
    ["Space", "Pause and go on"],
    ["1 – 4", "Window: 30 s, 1, 5, 15 min"],
    ["+  −", "Zoom in and out"],
    ["0 or Esc", "Back to the window"],
    ["← →", "Move the cursor on a focused chart"],
    ["E", "Export what is shown as CSV"],
  ]],
  ["List of sessions", [
    ["/", "Search"],
    ["↑ ↓", "From session to session"],
    ["Enter", "Open"],
  ]],
  ["One session", [
    ["+  −", "Zoom in and out"],
    [",  .", "Earlier and later"],
    ["0", "The whole session"],
    ["← →", "Move the cursor on a focused chart"],
  ]],
  ["Everywhere", [
    ["D", "Dark or light"],
    ["?", "This list"],
  ]],
];

/** Tell whether a key belongs to what has the focus, not to the page. */
export function typing(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("dialog") || target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)) return true;
  return event.key === " " && target.closest("button, a, summary, [role=button]") !== null;
}

/** The keys that work on every page, and the list of all of them. */
export function Shortcuts() {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (typing(event)) return;
      if (event.key === "d" || event.key === "D") setTheme(theme() === "dark" ? "light" : "dark");
      else if (event.key === "?") setOpen(true);
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
  return (
    <>
      <span className="hidden sm:block">
        <IconButton icon={Keyboard} label="Keyboard shortcuts (?)" onClick={() => setOpen(true)} />
      </span>
      <Dialog open={open} onClose={() => setOpen(false)} title="Keyboard shortcuts">
        {KEYS.map(([group, keys]) => (
          <Fragment key={group}>
            <h3 className="mt-4 mb-2 text-label font-medium text-ink-3 first:mt-0">{group}</h3>
            <dl className="grid grid-cols-[7rem_1fr] items-center gap-y-2">
              {keys.map(([key, what]) => (
                <Fragment key={key}>
                  <dt>
                    <kbd className="rounded-md border border-hairline bg-sunken px-2 py-0.5 font-sans text-label font-medium whitespace-pre">{key}</kbd>
                  </dt>
                  <dd className="text-ink-2">{what}</dd>
                </Fragment>
              ))}
            </dl>
          </Fragment>
        ))}
      </Dialog>
    </>
  );
}
