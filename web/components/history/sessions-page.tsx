"use client";

import { useQuery } from "@/lib/history/use-address";
import { readView } from "@/lib/history/view-url";
import { SessionList } from "./session-list";
import { SessionView } from "./session-view";

/** All sessions, or the one that the address names. */
export function SessionsPage() {
  const view = readView(new URLSearchParams(useQuery()));
  return view ? <SessionView key={view.id} view={view} /> : <SessionList />;
}
