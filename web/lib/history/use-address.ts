"use client";

import { useSearchParams } from "next/navigation";
import { useSyncExternalStore } from "react";

const MOVED = "benchlab:address";

function subscribe(changed: () => void): () => void {
  for (const event of ["popstate", MOVED]) addEventListener(event, changed);
  return () => {
    for (const event of ["popstate", MOVED]) removeEventListener(event, changed);
  };
}

/** The query of the address, "" on the server; links of the page change it as well as `goTo` and the browser's Back. */
export function useQuery(): string {
  useSearchParams(); // the router's own navigations
  return useSyncExternalStore(subscribe, () => location.search, () => "");
}

/** Change the address at once, without asking the server for the page that is already there. */
export function goTo(href: string, how: "push" | "replace"): void {
  history[how === "push" ? "pushState" : "replaceState"](null, "", href);
  dispatchEvent(new Event(MOVED));
}
