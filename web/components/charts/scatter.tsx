"use client";

import { useCallback, useMemo } from "react";
import { cn } from "@/components/ui";
import { extent } from "@/lib/scale";
import { fade, usePalette } from "./palette";
import { type AxisSpec, type Pen, usePlot } from "./plot";
import { roundSplits, stepLabel } from "./ticks";

export interface ScatterProps {
  label: string;
  /** Columns of equal length; a row with NaN in either is left out. */
  x: Float64Array;
  y: Float64Array;
  /** A row to point out, -1 for none. */
  highlight?: number;
  /** Lines down, on the horizontal axis. */
  thresholds?: readonly number[];
  onHover?: (row: number | null) => void;
  className?: string;
}

const AXES: AxisSpec[] = [
  { scale: "x", side: "bottom", size: 30, splits: roundSplits, label: stepLabel, color: (palette) => palette.latencyInk, space: 50 },
  { scale: "y", side: "left", size: 46, splits: roundSplits, label: stepLabel, color: (palette) => palette.powerInk },
];
const ROOM = { below: 0.06, above: 0.06 };
const FEW = 1500;
const CELL = 3;

/** Few points are dots; many are cells, the darker the more points lie in them. */
function points(pen: Pen, x: Float64Array, y: Float64Array): void {
  const { context, ratio, palette } = pen;
  const px = pen.place("x");
  const py = pen.place("y");
  context.fillStyle = palette.latency;
  if (x.length <= FEW) {
    context.globalAlpha = x.length < 100 ? 0.8 : 0.5;
    const radius = (x.length < 100 ? 3 : 2) * ratio;
    const dots = new Path2D();
    for (let i = 0; i < x.length; i++) {
      if (Number.isNaN(x[i]!) || Number.isNaN(y[i]!)) continue;
      const at = px(x[i]!);
      dots.moveTo(at + radius, py(y[i]!));
      dots.arc(at, py(y[i]!), radius, 0, 2 * Math.PI);
    }
    context.fill(dots);
    context.globalAlpha = 1;
    return;
  }
  const size = CELL * ratio;
  const across = Math.ceil(pen.width / size) + 1;
  const down = Math.ceil(pen.height / size) + 1;
  const cells = new Uint32Array(across * down);
  let most = 1;
  for (let i = 0; i < x.length; i++) {
    const column = Math.floor((px(x[i]!) - pen.left) / size);
    const row = Math.floor((py(y[i]!) - pen.top) / size);
    if (!(column >= 0 && column < across && row >= 0 && row < down)) continue;
    most = Math.max(most, ++cells[row * across + column]!);
  }
  const scale = 1 / Math.log1p(most);
  cells.forEach((count, cell) => {
    if (!count) return;
    context.fillStyle = fade(palette.latency, 0.18 + 0.82 * Math.log1p(count) * scale);
    context.fillRect(pen.left + (cell % across) * size, pen.top + Math.floor(cell / across) * size, size, size);
  });
}

function nearestRow(props: ScatterProps, x: number, y: number): number | null {
  const [left, right] = extent(props.x) ?? [0, 1];
  const [low, high] = extent(props.y) ?? [0, 1];
  const width = right - left || 1;
  const height = high - low || 1;
  let best: number | null = null;
  let distance = 0.05 ** 2;
  for (let i = 0; i < props.x.length; i++) {
    const d = ((props.x[i]! - x) / width) ** 2 + ((props.y[i]! - y) / height) ** 2;
    if (d < distance) {
      distance = d;
      best = i;
    }
  }
  return best;
}

/** One column against another, each row a point. */
export function Scatter(props: ScatterProps) {
  const { x, y, highlight = -1, thresholds, onHover } = props;
  const palette = usePalette();
  const reach = useMemo(() => ({ x: { data: extent(x), room: ROOM }, y: { data: extent(y), room: ROOM } }), [x, y]);
  const draw = useCallback(
    (pen: Pen) => {
      const px = pen.place("x");
      thresholds?.forEach((value, i) => {
        pen.context.strokeStyle = fade(i === 0 ? pen.palette.warn : pen.palette.bad, 0.5);
        pen.context.setLineDash([4 * pen.ratio, 4 * pen.ratio]);
        pen.context.lineWidth = pen.ratio;
        pen.context.beginPath();
        pen.context.moveTo(px(value), pen.top);
        pen.context.lineTo(px(value), pen.top + pen.height);
        pen.context.stroke();
        pen.context.setLineDash([]);
      });
      points(pen, x, y);
    },
    [x, y, thresholds],
  );
  const spots = useMemo(
    () => (highlight >= 0 && palette ? [{ scale: "y", x: x[highlight]!, y: y[highlight]!, color: palette.ink }] : []),
    [highlight, palette, x, y],
  );
  const root = usePlot(
    AXES,
    palette && {
      reach,
      palette,
      draw,
      spots,
      onHover: (at, up) => onHover?.(at === null || up === null ? null : nearestRow(props, at, up)),
    },
  );
  return (
    <div role="img" aria-label={props.label} className={cn("relative", props.className ?? "h-64")}>
      <div ref={root} className="absolute inset-0" />
    </div>
  );
}
