"use client";

import { RotateCcw, ZoomIn, ZoomOut } from "lucide-react";
import { useMemo } from "react";
import { type Line, TimeChart } from "@/components/charts";
import { Button, Card, IconButton, Skeleton } from "@/components/ui";
import * as format from "@/lib/format";
import { hold, setCursor, useLive, zoomBy, zoomTo } from "@/lib/live/store";
import { type View, absentPower } from "@/lib/live/view";
import { extent } from "@/lib/scale";
import { nearest } from "@/lib/stats";

function Key({ color, children }: { color: string; children: string }) {
  return (
    <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
      <span aria-hidden className={`h-0.5 w-3.5 rounded-full ${color}`} />
      {children}
    </span>
  );
}

function Legend({ view, powered }: { view: View; powered: boolean }) {
  return (
    <span className="flex flex-wrap gap-x-4 gap-y-1 text-ink-2">
      <Key color="bg-latency">Latency, ms</Key>
      {powered ? <Key color="bg-power">Power, W</Key> : view.t.length > 0 && <span className="text-ink-3">Power absent: {format.why(absentPower(view))}</span>}
      {view.drops.t.length > 0 && (
        <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
          <svg aria-hidden viewBox="0 0 8 7" className="w-2 fill-bad"><path d="M0 0h8L4 7z" /></svg>
          Dropped frame
        </span>
      )}
    </span>
  );
}

/** What stands under the cursor, in one line that does not jump. */
function Readout({ view }: { view: View }) {
  const cursor = useLive((s) => s.cursor);
  const i = cursor === null ? -1 : nearest(view.t, cursor);
  if (i < 0) return <>{format.clockTime(view.from)} – {format.clockTime(view.to)}, {format.duration(view.to - view.from)}</>;
  const unc = view.unc[i]!;
  const parts = [
    `${format.text(format.latency(view.lat[i]))}${Number.isNaN(unc) ? "" : ` ±${format.number(unc, 3)}`}`,
    Number.isNaN(view.power[i]!) ? `power absent: ${format.why(view.words[view.why[i]!])}` : format.text(format.power(view.power[i])),
    Number.isNaN(view.energy[i]!) ? null : format.text(format.energy(view.energy[i])),
    Number.isNaN(view.frame[i]!) ? null : `frame ${view.frame[i]}`,
  ].filter((part) => part !== null);
  return <span data-readout className="text-ink">{format.clockTime(view.t[i], true)} · {parts.join(" · ")}</span>;
}

function ZoomButtons({ zoomed }: { zoomed: boolean }) {
  return (
    <div className="flex items-center gap-1">
      {zoomed && <Button icon={RotateCcw} onClick={() => zoomTo(null)} title="Back to the window (0)">Whole window</Button>}
      <IconButton icon={ZoomIn} label="Zoom in (+)" onClick={() => zoomBy(0.5)} />
      <IconButton icon={ZoomOut} label="Zoom out (−)" disabled={!zoomed} onClick={() => zoomBy(2)} />
    </div>
  );
}

const HEIGHT = "h-80 lg:h-auto lg:min-h-80 lg:flex-1";

function Empty({ view }: { view: View }) {
  const newest = useLive((s) => s.state?.newest_ms ?? null);
  if (view.t.length) return null;
  return (
    <div className="pointer-events-none absolute inset-0 flex flex-col items-center justify-center gap-1 text-center">
      <p className="font-medium text-ink">No frame in this range</p>
      {newest !== null && <p className="text-label text-ink-2">The newest is from {format.dateTime(newest)}</p>}
    </div>
  );
}

/** Latency and power over time. */
export function MainChart() {
  const view = useLive((s) => s.view);
  const cursor = useLive((s) => s.cursor);
  const zoomed = useLive((s) => s.zoom !== null);
  const thresholds = useLive((s) => s.thresholds);
  const powered = useMemo(() => view !== null && extent(view.power) !== null, [view]);
  const lines = useMemo<Line[]>(() => {
    if (!view) return [];
    const latency: Line = { label: "Latency", unit: "ms", axis: "left", color: "latency", y: view.lat };
    return powered ? [latency, { label: "Power", unit: "W", axis: "right", color: "power", y: view.power }] : [latency];
  }, [view, powered]);
  if (!view) return <ChartSkeleton />;
  return (
    <Card
      id="time"
      title="Latency and power"
      note={<span className="figures block min-h-4"><Readout view={view} /></span>}
      actions={<ZoomButtons zoomed={zoomed} />}
      className="lg:col-span-2 lg:row-span-2"
      body="flex flex-col px-2 pb-2 pt-1"
    >
      <div className="px-2 pb-1 text-label"><Legend view={view} powered={powered} /></div>
      <div className="relative flex flex-1 flex-col">
        <TimeChart
          label="Latency and power over time"
          x={view.t}
          lines={lines}
          from={view.from}
          to={view.to}
          breaks={view.gap_ms}
          gaps={view.gaps}
          marks={view.drops.t}
          thresholds={thresholds}
          cursor={cursor}
          onCursor={setCursor}
          onZoom={(from, to) => zoomTo({ from, to })}
          onReset={() => zoomTo(null)}
          onHold={hold}
          describedBy="statistics"
          className={HEIGHT}
        />
        <Empty view={view} />
      </div>
    </Card>
  );
}

export function ChartSkeleton() {
  return (
    <Card className="lg:col-span-2 lg:row-span-2" body="flex flex-col p-4">
      <Skeleton className="mb-4 h-5 w-40" />
      <Skeleton className={HEIGHT} />
    </Card>
  );
}
