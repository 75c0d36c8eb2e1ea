"use client";

import { RotateCw, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/ui";
import * as format from "@/lib/format";
import { lostFor, retryNow, serverTime, useLive } from "@/lib/live/store";

/** Follow how long the line has been gone; null while it holds. */
export function useLost(): number | null {
  const [gone, setGone] = useState<number | null>(null);
  useEffect(() => {
    const timer = setInterval(() => setGone(lostFor()), 500);
    return () => clearInterval(timer);
  }, []);
  return gone;
}

/** The line is gone: the page says since when, and keeps what it has. */
export function LostLine({ gone }: { gone: number }) {
  const why = useLive((s) => ("why" in s.status ? s.status.why : ""));
  const now = serverTime();
  return (
    <div role="status" className="animate-rise flex flex-wrap items-center justify-between gap-3 rounded-card border border-bad/40 bg-bad-soft px-4 py-2.5 text-ink">
      <p className="flex min-w-0 items-center gap-2.5">
        <WifiOff aria-hidden className="size-4 shrink-0 text-bad" />
        <span>
          <strong className="font-semibold">Disconnected{now === null ? "" : ` since ${format.clockTime(now - gone)}`}.</strong> {why} What you see is kept; the page tries again by itself.
        </span>
      </p>
      <Button icon={RotateCw} onClick={retryNow}>Try now</Button>
    </div>
  );
}
