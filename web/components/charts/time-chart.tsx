"use client";

import { type KeyboardEvent, useCallback, useMemo, useRef } from "react";
import { type PixelColumns, fillColumns, fillPoints, pixelColumns } from "@/lib/columns";
import { type Room, type Span, extent } from "@/lib/scale";
import { nearest } from "@/lib/stats";
import { type LineColor, type Palette, fade, lineColor, usePalette } from "./palette";
import { type AxisSpec, type Pen, type Reach, type Spot, usePlot } from "./plot";
import { TIME_AXIS, roundSplits, stepLabel } from "./ticks";
import { cn } from "@/components/ui";

export interface Line {
  label: string;
  unit: string;
  axis: "left" | "right";
  color: LineColor;
  /** NaN is absent. */
  y: Float64Array;
  /** Extremes behind each value, where values are means. */
  low?: Float64Array;
  high?: Float64Array;
}

export interface TimeChartProps {
  /** What the chart shows, for those who do not see it. */
  label: string;
  /** Epoch ms, rising. */
  x: Float64Array;
  lines: readonly Line[];
  from: number;
  to: number;
  /** A distance between two points beyond this is a gap, ms. */
  breaks?: number;
  /** Gaps to shade. */
  gaps?: readonly (readonly [number, number])[];
  /** Times of dropped frames. */
  marks?: Float64Array;
  /** Moments with a name: a flag each. */
  flags?: readonly { t: number; name: string }[];
  /** Lines across, on the left axis. */
  thresholds?: readonly number[];
  cursor?: number | null;
  onCursor?: (t: number | null) => void;
  onZoom?: (from: number, to: number) => void;
  onReset?: () => void;
  onHold?: (held: boolean) => void;
  /** Id of a table that says the same. */
  describedBy?: string;
  className?: string;
}

/** Where two axes share a chart each has a lane of its height, so that the lines never tangle: [bottom, top], of 1. */
type Lane = readonly [bottom: number, top: number];
const UPPER: Lane = [0.42, 0.95];
const LOWER: Lane = [0.04, 0.36];
const WHOLE: Lane = [0.07, 0.92];
/** More points than this per pixel are drawn as a band with its mean. */
const DENSE = 1;
const MOST_COLUMNS = 8192;

/** Return the room around data that puts it into a lane. */
function roomIn([bottom, top]: Lane): Room {
  const height = top - bottom;
  return { below: bottom / height, above: (1 - top) / height, floor: null };
}

/** Return round values within a lane of an axis, a little beyond it too; none below zero unless the data is. */
function laneSplits([low, high]: Span, room_px: number, [bottom, top]: Lane): number[] {
  const height = high - low;
  const reach: Span = [low + height * Math.max(0, bottom - 0.03), low + height * Math.min(1, top + 0.04)];
  const data = low + height * bottom;
  return roundSplits(reach, room_px * (top - bottom)).filter((value) => value >= 0 || data < 0);
}

function axesOf(left: LineColor, right: LineColor | null): AxisSpec[] {
  const vertical = (side: "left" | "right", color: LineColor, lane: Lane): AxisSpec => ({
    scale: side,
    side,
    size: 46,
    splits: (span, room) => laneSplits(span, room, lane),
    label: stepLabel,
    color: (palette) => lineColor(palette, color, true),
  });
  if (!right) return [TIME_AXIS, vertical("left", left, WHOLE)];
  return [TIME_AXIS, vertical("left", left, UPPER), vertical("right", right, LOWER)];
}

function spanOf(lines: readonly Line[]): Span | null {
  const all = lines.flatMap((line) => [line.y, line.low, line.high]).flatMap((values) => (values ? [extent(values)] : []));
  const known = all.filter((span): span is Span => span !== null);
  return known.length ? [Math.min(...known.map(([low]) => low)), Math.max(...known.map(([, high]) => high))] : null;
}

function hatch(pen: Pen, gaps: TimeChartProps["gaps"]): void {
  const { context, top, height, palette, ratio } = pen;
  const x = pen.place("x");
  for (const [from, to] of gaps ?? []) {
    const left = Math.max(pen.left, x(from));
    const right = Math.min(pen.left + pen.width, x(to));
    if (right - left < ratio) continue;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, height);
    context.clip();
    context.fillStyle = palette.grid;
    context.fillRect(left, top, right - left, height);
    context.strokeStyle = palette.grid;
    context.lineWidth = ratio;
    context.beginPath();
    for (let at = left - height; at < right; at += 8 * ratio) {
      context.moveTo(at, top + height);
      context.lineTo(at + height, top);
    }
    context.stroke();
    context.restore();
    if (right - left > 70 * ratio) words(pen, "no data", (left + right) / 2, top + height / 2, "center");
  }
}

function words(pen: Pen, text: string, x: number, y: number, align: CanvasTextAlign): void {
  const { context, palette, ratio } = pen;
  context.font = `${11 * ratio}px ${palette.font}`;
  context.fillStyle = palette.ink3;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.fillText(text, x, y);
}

function acrossLines(pen: Pen, values: readonly number[], unit: string, lane: Lane): void {
  const { context, left, width, top, palette, ratio } = pen;
  const y = pen.place("left");
  const floor = top + pen.height * (1 - Math.max(0, lane[0] - 0.04));
  values.forEach((value, i) => {
    const at = y(value);
    if (at < top + 8 * ratio || at > floor) return;
    context.strokeStyle = i === 0 ? palette.warn : palette.bad;
    context.globalAlpha = 0.55;
    context.setLineDash([4 * ratio, 4 * ratio]);
    context.lineWidth = ratio;
    context.beginPath();
    context.moveTo(left, at);
    context.lineTo(left + width, at);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    tag(pen, `${value} ${unit}`, left + 6 * ratio, at);
  });
}

/** A word on a line, on a ground of its own. */
function tag(pen: Pen, text: string, x: number, y: number): void {
  const { context, palette, ratio } = pen;
  context.font = `${10.5 * ratio}px ${palette.font}`;
  const width = context.measureText(text).width + 10 * ratio;
  context.fillStyle = fade(palette.surface, 0.75);
  context.beginPath();
  context.roundRect(x, y - 8 * ratio, width, 16 * ratio, 8 * ratio);
  context.fill();
  context.fillStyle = palette.ink3;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, x + 5 * ratio, y);
}

interface Scratch {
  mean: PixelColumns;
  low: PixelColumns;
  high: PixelColumns;
}

function drawLine(pen: Pen, props: TimeChartProps, line: Line, lane: Lane, scratch: Scratch): void {
  const { context, ratio, palette } = pen;
  const width = Math.max(1, pen.width / ratio);
  const breaks = props.breaks !== undefined && Number.isFinite(props.breaks) ? props.breaks : Infinity;
  const { mean } = scratch;
  const dense = props.x.length > width * DENSE && !line.low;
  if (dense) fillColumns(mean, props.x, line.y, (props.to - props.from) / width, breaks);
  else fillPoints(mean, props.x, line.y, breaks);
  let { low, high } = mean;
  if (!dense && line.low && line.high) {
    fillPoints(scratch.low, props.x, line.low, breaks);
    fillPoints(scratch.high, props.x, line.high, breaks);
    low = scratch.low.mean;
    high = scratch.high.mean;
  }
  const color = lineColor(palette, line.color);
  const x = pen.place("x");
  const y = pen.place(line.axis);
  const floor = pen.top + pen.height * (1 - Math.max(0, lane[0] - 0.04));
  const stroke = new Path2D();
  const area = new Path2D();
  const band = new Path2D();
  const dots = new Path2D();
  const banded = dense || line.low !== undefined;
  for (let first = 0; first < mean.n; ) {
    let last = first + 1;
    while (last < mean.n && !mean.cut[last]) last += 1;
    if (last - first === 1) {
      const px = x(mean.x[first]!);
      const py = y(mean.mean[first]!);
      dots.moveTo(px + 2.5 * ratio, py);
      dots.arc(px, py, 2.5 * ratio, 0, 2 * Math.PI);
      if (banded) band.rect(px - ratio, y(high[first]!), 2 * ratio, y(low[first]!) - y(high[first]!));
    } else {
      area.moveTo(x(mean.x[first]!), floor);
      for (let i = first; i < last; i++) {
        const px = x(mean.x[i]!);
        const py = y(mean.mean[i]!);
        if (i === first) stroke.moveTo(px, py);
        else stroke.lineTo(px, py);
        area.lineTo(px, py);
        if (!banded) continue;
        if (i === first) band.moveTo(px, y(high[i]!));
        else band.lineTo(px, y(high[i]!));
      }
      area.lineTo(x(mean.x[last - 1]!), floor);
      area.closePath();
      if (banded) {
        for (let i = last - 1; i >= first; i--) band.lineTo(x(mean.x[i]!), y(low[i]!));
        band.closePath();
      }
    }
    first = last;
  }
  const gradient = context.createLinearGradient(0, pen.top + pen.height * (1 - lane[1]), 0, floor);
  gradient.addColorStop(0, fade(color, 0.42));
  gradient.addColorStop(1, fade(color, 0));
  context.fillStyle = gradient;
  context.fill(area);
  if (banded) {
    context.fillStyle = fade(color, 0.3);
    context.fill(band);
    context.strokeStyle = fade(color, 0.4);
    context.lineWidth = 0.75 * ratio;
    context.stroke(band);
  }
  context.strokeStyle = color;
  context.lineWidth = 1.6 * ratio;
  context.lineJoin = "round";
  context.lineCap = "round";
  context.stroke(stroke);
  context.fillStyle = color;
  context.fill(dots);
}

/** Dropped frames stand as marks along the top: a triangle and a thin line down. */
function drawMarks(pen: Pen, marks: Float64Array): void {
  const { context, ratio, top, height, palette } = pen;
  const x = pen.place("x");
  let before = -Infinity;
  let drawn = 0;
  const lines = new Path2D();
  const heads = new Path2D();
  for (const mark of marks) {
    const at = Math.round(x(mark));
    if (at - before < 2 * ratio) continue;
    before = at;
    drawn += 1;
    lines.moveTo(at, top);
    lines.lineTo(at, top + height);
    heads.moveTo(at - 4 * ratio, top);
    heads.lineTo(at + 4 * ratio, top);
    heads.lineTo(at, top + 7 * ratio);
    heads.closePath();
  }
  // many lines side by side must not hide what they stand before
  const apart = pen.width / ratio / Math.max(1, drawn);
  context.strokeStyle = fade(palette.bad, 0.25 * Math.min(1, apart / 24));
  context.lineWidth = ratio;
  context.stroke(lines);
  context.fillStyle = palette.bad;
  context.fill(heads);
}

/** Bookmarks stand as upright lines with their name. */
function drawFlags(pen: Pen, flags: NonNullable<TimeChartProps["flags"]>): void {
  const { context, ratio, top, height, palette } = pen;
  const x = pen.place("x");
  for (const { t, name } of flags) {
    const at = x(t);
    if (at < pen.left || at > pen.left + pen.width) continue;
    context.fillStyle = palette.ink3;
    context.fillRect(at, top, ratio, height);
    words(pen, name, at + 5 * ratio, top + height - 8 * ratio, "left");
  }
}

function spotsOf(props: TimeChartProps, palette: Palette): Spot[] {
  const { cursor, x, lines } = props;
  if (cursor === null || cursor === undefined) return [];
  const at = nearest(x, cursor);
  if (at < 0 || Math.abs(x[at]! - cursor) > (props.to - props.from) * 0.02) return [];
  return lines.map((line) => ({ scale: line.axis, x: x[at]!, y: line.y[at]!, color: lineColor(palette, line.color) }));
}

/** Lines over time on one or two axes, with gaps, drops and thresholds; drag to zoom, arrow keys move the cursor. */
export function TimeChart(props: TimeChartProps) {
  const { label, x, lines, from, to, gaps, marks, flags, thresholds, breaks, cursor, onCursor, onZoom, onReset, onHold } = props;
  const palette = usePalette();
  const scratch = useRef<Scratch | null>(null);
  const left = lines.find((line) => line.axis === "left");
  const right = lines.find((line) => line.axis === "right");
  const leftColor = left?.color ?? "neutral";
  const rightColor = right?.color ?? null;
  const axes = useMemo(() => axesOf(leftColor, rightColor), [leftColor, rightColor]);

  const reach = useMemo(() => {
    const both = right !== undefined && left !== undefined;
    const data = (axis: Line["axis"]) => spanOf(lines.filter((line) => line.axis === axis));
    const next: Record<string, Reach> = { x: [from, to], left: { data: data("left"), room: roomIn(both ? UPPER : WHOLE) } };
    if (right) next.right = { data: data("right"), room: roomIn(both ? LOWER : WHOLE) };
    return next;
  }, [from, to, lines, left, right]);

  const draw = useCallback(
    (pen: Pen) => {
      scratch.current ??= { mean: pixelColumns(MOST_COLUMNS), low: pixelColumns(MOST_COLUMNS), high: pixelColumns(MOST_COLUMNS) };
      hatch(pen, gaps);
      // the left axis is drawn last: it is the one looked for first
      for (const line of [...lines].reverse()) {
        const lane = !right || !left ? WHOLE : line.axis === "left" ? UPPER : LOWER;
        drawLine(pen, { label, x, lines, from, to, breaks }, line, lane, scratch.current);
      }
      if (left && thresholds) acrossLines(pen, thresholds, left.unit, right ? UPPER : WHOLE);
      if (marks) drawMarks(pen, marks);
      if (flags) drawFlags(pen, flags);
    },
    [label, x, lines, from, to, breaks, gaps, thresholds, marks, flags, left, right],
  );

  const spots = useMemo(() => (palette ? spotsOf({ label, x, lines, from, to, cursor }, palette) : []), [palette, label, x, lines, from, to, cursor]);
  const root = usePlot(
    axes,
    palette && { reach, palette, draw, cursorX: cursor ?? null, spots, onSelect: onZoom, onReset, onHold, onHover: (at) => onCursor?.(at) },
  );

  const keys = (event: KeyboardEvent) => {
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (!step || !onCursor || x.length === 0) return;
    event.preventDefault();
    const jump = event.shiftKey ? Math.max(1, Math.round(x.length / 20)) : 1;
    const here = cursor === null || cursor === undefined ? (step < 0 ? x.length : -1) : nearest(x, cursor);
    onCursor(x[Math.min(x.length - 1, Math.max(0, here + step * jump))]!);
  };

  return (
    <div
      role="group"
      tabIndex={onCursor ? 0 : undefined}
      aria-label={`${label}. Arrow keys move the cursor, shift for larger steps.`}
      aria-describedby={props.describedBy}
      onKeyDown={keys}
      onBlur={() => onCursor?.(null)}
      className={cn("relative rounded-control", props.className ?? "h-72")}
    >
      <div ref={root} className="absolute inset-0" />
    </div>
  );
}
