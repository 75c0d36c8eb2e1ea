"use client";

import { useCallback, useMemo } from "react";
import { cn } from "@/components/ui";
import type { Span } from "@/lib/scale";
import { fade, usePalette } from "./palette";
import { type AxisSpec, type Pen, usePlot } from "./plot";
import { logLabel, logSplits, roundSplits, stepLabel } from "./ticks";

export interface HistogramProps {
  label: string;
  /** One more edge than counts, rising; above 0 for a logarithmic axis. */
  edges: Float64Array;
  counts: ArrayLike<number>;
  /** A logarithmic axis, for bins of equal ratio. */
  log?: boolean;
  /** Values to mark with a line and a word. */
  marks?: readonly { value: number; label: string }[];
  thresholds?: readonly number[];
  /** The value under the cursor of another chart. */
  cursor?: number | null;
  onHover?: (bin: number | null) => void;
  className?: string;
}

const VALUES: Omit<AxisSpec, "label"> = { scale: "x", side: "bottom", size: 30, color: (palette) => palette.latencyInk, grid: false };
const COUNTS: AxisSpec = { scale: "y", side: "left", size: 46, splits: roundSplits, label: (value) => value.toLocaleString("en-US") };
const AXES = [{ ...VALUES, splits: roundSplits, label: stepLabel }, COUNTS];
const LOG_AXES = [{ ...VALUES, splits: logSplits, label: logLabel }, COUNTS];

/** What is drawn, in units of the axis: the values, or their logarithms. */
type Drawn = Required<Pick<HistogramProps, "edges" | "counts" | "marks" | "thresholds">>;

function bars(pen: Pen, { edges, counts }: Drawn): void {
  const { context, palette, ratio } = pen;
  const x = pen.place("x");
  const y = pen.place("y");
  const floor = pen.top + pen.height;
  const gradient = context.createLinearGradient(0, pen.top, 0, floor);
  gradient.addColorStop(0, palette.latency);
  gradient.addColorStop(1, fade(palette.latency, 0.55));
  context.fillStyle = gradient;
  for (let i = 0; i < counts.length; i++) {
    if (!counts[i]) continue;
    const left = x(edges[i]!);
    const width = Math.max(ratio, x(edges[i + 1]!) - left - ratio);
    // a single frame far out must still be seen
    const top = Math.min(y(counts[i]!), floor - 2 * ratio);
    context.beginPath();
    context.roundRect(left + ratio / 2, top, width, floor - top, [Math.min(3 * ratio, width / 2), Math.min(3 * ratio, width / 2), 0, 0]);
    context.fill();
  }
}

function uprights(pen: Pen, { marks, thresholds }: Drawn): void {
  const { context, palette, ratio } = pen;
  const x = pen.place("x");
  const upright = (value: number, color: string, dash: number[]) => {
    context.strokeStyle = color;
    context.setLineDash(dash.map((each) => each * ratio));
    context.lineWidth = ratio;
    context.beginPath();
    context.moveTo(x(value), pen.top);
    context.lineTo(x(value), pen.top + pen.height);
    context.stroke();
    context.setLineDash([]);
  };
  thresholds.forEach((value, i) => upright(value, fade(i === 0 ? palette.warn : palette.bad, 0.55), [4, 4]));
  let clear = -Infinity;
  context.font = `${10 * ratio}px ${palette.font}`;
  context.textBaseline = "top";
  context.textAlign = "left";
  for (const { value, label } of marks) {
    upright(value, palette.hairline, []);
    const at = x(value) + 3 * ratio;
    if (at < clear || at > pen.left + pen.width) continue;
    context.fillStyle = palette.ink3;
    context.fillText(label, at, pen.top + 2 * ratio);
    clear = at + context.measureText(label).width + 4 * ratio;
  }
}

/** Return the way from a value to its place on the axis. */
const on = (log: boolean) => (log ? Math.log10 : (value: number) => value);

function useDrawn({ edges, marks, thresholds, log = false }: HistogramProps): Omit<Drawn, "counts"> {
  return useMemo(() => {
    const place = on(log);
    return {
      edges: edges.map(place),
      marks: (marks ?? []).map(({ value, label }) => ({ value: place(value), label })),
      thresholds: (thresholds ?? []).map(place),
    };
  }, [edges, marks, thresholds, log]);
}

/** How often each latency occurs. */
export function Histogram(props: HistogramProps) {
  const { counts, cursor, onHover, log = false } = props;
  const palette = usePalette();
  const { edges, marks, thresholds } = useDrawn(props);
  const reach = useMemo(() => {
    let most = 1;
    for (let i = 0; i < counts.length; i++) most = Math.max(most, counts[i]!);
    const low = edges[0] ?? 0;
    const high = edges[edges.length - 1] ?? 1;
    return { x: [low, high > low ? high : low + 1] as Span, y: [0, most * 1.18] as Span };
  }, [edges, counts]);
  const draw = useCallback(
    (pen: Pen) => {
      const part = { edges, counts, marks, thresholds };
      bars(pen, part);
      uprights(pen, part);
    },
    [edges, counts, marks, thresholds],
  );
  const binAt = (at: number) => {
    for (let i = 0; i < counts.length; i++) if (at >= edges[i]! && at < edges[i + 1]!) return i;
    return null;
  };
  const cursorX = cursor == null ? null : on(log)(cursor);
  const root = usePlot(log ? LOG_AXES : AXES, palette && { reach, palette, draw, cursorX, onHover: (at) => onHover?.(at === null ? null : binAt(at)) });
  return (
    <div role="img" aria-label={props.label} className={cn("relative", props.className ?? "h-64")}>
      <div ref={root} className="absolute inset-0" />
    </div>
  );
}
