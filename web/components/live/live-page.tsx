"use client";

import { useEffect } from "react";
import { typing } from "@/components/shell/shortcuts";
import { Card, ErrorState, Skeleton, cn } from "@/components/ui";
import { WINDOWS_MS, chooseWindow, retryNow, start, togglePause, useLive, zoomBy, zoomTo } from "@/lib/live/store";
import { HistogramCard, PercentileCard, ScatterCard } from "./distributions";
import { FirstRun, NoFrames } from "./first-run";
import { LostLine, useLost } from "./lost-line";
import { ChartSkeleton, MainChart } from "./main-chart";
import { StatCards, StatSkeletons } from "./stat-cards";
import { StatisticsCard } from "./statistics";
import { Toolbar, exportShown } from "./toolbar";

function useKeys(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (typing(event)) return;
      const window_ms = WINDOWS_MS[Number(event.key) - 1];
      if (event.key === " ") togglePause();
      else if (window_ms !== undefined) chooseWindow(window_ms);
      else if (event.key === "e" || event.key === "E") exportShown();
      else if (event.key === "+" || event.key === "=") zoomBy(0.5);
      else if (event.key === "-") zoomBy(2);
      else if (event.key === "0" || event.key === "Escape") zoomTo(null);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}

/** Says to screen readers what changed, not what each second brings. */
function Announcer() {
  const { text, turn } = useLive((s) => s.announcement);
  return <p aria-live="polite" className="sr-only">{text && <span key={turn}>{text}</span>}</p>;
}

function ResetNote() {
  const reset = useLive((s) => s.resetWhilePaused);
  if (!reset) return null;
  return (
    <p role="status" className="rounded-card border border-hairline bg-warn-soft px-4 py-2.5 text-ink">
      The recording began anew while the page was paused. Resume to see it; what is shown now is gone from the stream then.
    </p>
  );
}

function Body() {
  const view = useLive((s) => s.view !== null);
  const figures = useLive((s) => s.figures);
  const hello = useLive((s) => s.hello !== null);
  const status = useLive((s) => s.status);
  const session = useLive((s) => s.hello && s.hello.session);
  const some = useLive((s) => (s.view?.t.length ?? 0) > 0 || s.state?.newest_ms != null);
  const gone = useLost();
  if (!view && status.kind === "offline" && gone !== null) {
    return (
      <Card>
        <ErrorState title="The dashboard's server does not answer" what={status.why} fix="Start it with benchlab-webd, or look at its log. This page tries again by itself." onRetry={retryNow} />
      </Card>
    );
  }
  const nothing = !some && (status.kind === "open" || status.kind === "polling");
  if (nothing && hello && session === null) return <FirstRun />;
  if (!view || !figures) return <Loading />;
  if (nothing && hello) return <NoFrames />;
  return (
    <>
      {gone !== null && <LostLine gone={gone} />}
      <ResetNote />
      <div className={cn("flex flex-col gap-3 transition-[filter,opacity] duration-150 sm:gap-4", gone !== null && "opacity-90 grayscale")}>
        <StatCards />
        <div className="grid gap-3 sm:gap-4 lg:grid-cols-3">
          <MainChart />
          <ScatterCard figures={figures} />
          <HistogramCard figures={figures} />
          <StatisticsCard figures={figures} />
          <PercentileCard figures={figures} />
        </div>
      </div>
    </>
  );
}

function Loading() {
  return (
    <div className="flex flex-col gap-3 sm:gap-4" aria-busy="true">
      <StatSkeletons />
      <div className="grid gap-3 sm:gap-4 lg:grid-cols-3">
        <ChartSkeleton />
        <Card><Skeleton className="h-60" /></Card>
        <Card><Skeleton className="h-60" /></Card>
      </div>
    </div>
  );
}

/** The live page: what the pipeline does now, and did in the last minutes. */
export function LivePage() {
  useEffect(() => start(), []);
  useKeys();
  return (
    <div className="flex flex-col gap-3 sm:gap-4">
      <Announcer />
      <Toolbar />
      <Body />
    </div>
  );
}
