"use client";

import { ArrowLeft, ArrowRight, Maximize2, Undo2, ZoomIn, ZoomOut } from "lucide-react";
import { useMemo } from "react";
import { Button, Card, IconButton, Skeleton, cn } from "@/components/ui";
import type { Bookmark, Latency } from "@/lib/api";
import { clockTime, count, duration, latency, pairName } from "@/lib/format";
import { latencyLines } from "@/lib/history/series";
import type { Range } from "@/lib/history/urls";
import type { Answer } from "@/lib/history/use-api";
import { moved, scaled } from "@/lib/history/zoom";
import { RangeChart } from "./range-chart";

interface Props {
  answer: Answer<Latency>;
  range: Range;
  whole: { from: number; to: number };
  bookmarks: Bookmark[];
  onZoom: (range: Range) => void;
  onBack: () => void;
  className?: string;
}

/** Latency and power over time; dragging zooms in, and each zoom is fetched at the resolution it deserves. */
export function LatencyCard({ answer, range, whole, bookmarks, onZoom, onBack, className }: Props) {
  const { data, failure } = answer;
  const shown = range ?? whole;
  const lines = useMemo(() => (data ? latencyLines(data) : null), [data]);
  const drops = useMemo(() => Float64Array.from(data?.drops_ms ?? []), [data]);
  const flags = useMemo(() => bookmarks.map(({ t_ms, name }) => ({ t: t_ms, name })), [bookmarks]);
  return (
    <Card className={className} id="over-time" title="Latency and power over time" note={data ? resolution(data) : " "} actions={<Controls range={range} whole={whole} onZoom={onZoom} onBack={onBack} />} body="px-2 pb-3 sm:px-4">
      <p className="figures flex flex-wrap justify-between gap-x-4 px-2 pt-1 text-label text-ink-2 sm:px-0">
        <span data-range>
          {clockTime(shown.from, true)} to {clockTime(shown.to, true)}, {duration(shown.to - shown.from)}
        </span>
        <Legend />
      </p>
      {lines && data ? (
        <RangeChart label={spoken(data)} data={lines} range={range} whole={whole} onZoom={onZoom} gaps={data.gaps} marks={drops} flags={flags} className="h-90" />
      ) : (
        <Skeleton className="h-94" />
      )}
      {failure && failure.status !== 0 && <p role="alert" className="px-2 pt-2 text-bad sm:px-0">{failure.message}</p>}
    </Card>
  );
}

function Controls({ range, whole, onZoom, onBack }: Pick<Props, "range" | "whole" | "onZoom" | "onBack">) {
  return (
    <div className="flex flex-wrap items-center gap-0.5">
      <IconButton icon={ArrowLeft} label="Earlier (,)" disabled={!range} onClick={() => onZoom(moved(range, whole, -0.25))} />
      <IconButton icon={ArrowRight} label="Later (.)" disabled={!range} onClick={() => onZoom(moved(range, whole, 0.25))} />
      <IconButton icon={ZoomOut} label="Zoom out (−)" disabled={!range} onClick={() => onZoom(scaled(range, whole, 2))} />
      <IconButton icon={ZoomIn} label="Zoom in (+)" onClick={() => onZoom(scaled(range, whole, 0.5))} />
      <Button variant="quiet" icon={Undo2} disabled={!range} onClick={onBack}>Back</Button>
      <Button variant="quiet" icon={Maximize2} disabled={!range} title="The whole session (0)" onClick={() => onZoom(null)}>All</Button>
    </div>
  );
}

function Legend() {
  return (
    <span className="flex flex-wrap gap-x-4">
      <Sample style="bg-latency" name="Latency" />
      <Sample style="bg-power" name="Power" />
      <Sample style="bg-bad" name="Dropped" short />
      <Sample style="bg-info-soft border border-hairline-strong/40" name="Gap" short />
    </span>
  );
}

function Sample({ style, name, short = false }: { style: string; name: string; short?: boolean }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span aria-hidden className={cn(short ? "h-2.5 w-2 rounded-[2px]" : "h-0.5 w-4", style)} /> {name}
    </span>
  );
}

function resolution(answer: Latency): string {
  const pair = pairName(answer.pair);
  if (answer.resolution === "frames") return `${pair}, every frame`;
  const t = answer.columns.t_ms;
  const step = t.length > 1 ? (answer.to_ms - answer.from_ms) / t.length : 0;
  return `${pair}, mean with lowest and highest of ${step ? `about ${duration(step)} each` : "each stretch"}`;
}

function spoken(answer: Latency): string {
  const { stats, frames, drops } = answer;
  const figures = stats.n ? `, median ${latency(stats.p50_ms).value} ms, highest ${latency(stats.max_ms).value} ms` : "";
  return `Chart of latency and power: ${count(frames)} frames${figures}, ${count(drops)} dropped`;
}
