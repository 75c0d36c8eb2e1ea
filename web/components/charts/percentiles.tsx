"use client";

import { useCallback, useMemo } from "react";
import { cn } from "@/components/ui";
import type { Span } from "@/lib/scale";
import { type Curve, tailPosition } from "@/lib/stats";
import { fade, usePalette } from "./palette";
import { type AxisSpec, type Pen, usePlot } from "./plot";
import { roundSplits, stepLabel } from "./ticks";

export interface PercentilesProps {
  label: string;
  curve: Curve;
  thresholds?: readonly number[];
  /** Percentile and value to point out. */
  highlight?: { p: number; value: number } | null;
  onHover?: (p: number | null) => void;
  className?: string;
}

const TICKS = [0, 50, 90, 95, 99, 99.9, 99.99, 99.999];
const AXES: AxisSpec[] = [
  {
    scale: "x",
    side: "bottom",
    size: 30,
    splits: ([, end], room) => {
      let before = -Infinity;
      return TICKS.map(tailPosition).filter((at) => {
        const fits = at <= end + 1e-9 && ((at - before) / end) * room > 26;
        if (fits) before = at;
        return fits;
      });
    },
    label: (position) => `p${Number((100 * (1 - 10 ** -position)).toFixed(3))}`,
  },
  { scale: "y", side: "left", size: 46, splits: roundSplits, label: stepLabel, color: (palette) => palette.latencyInk },
];
const ROOM = { below: 0.08, above: 0.08 };

/** Latency by percentile, the tail given as much room as the body. */
export function Percentiles(props: PercentilesProps) {
  const { curve, thresholds, highlight, onHover } = props;
  const palette = usePalette();
  const reach = useMemo(() => {
    const last = curve.p.length - 1;
    const data: Span = [curve.value[0]!, curve.value[last]!];
    return { x: [0, Math.max(0.3, tailPosition(curve.p[last]!))] as Span, y: { data, room: ROOM } };
  }, [curve]);
  const draw = useCallback(
    (pen: Pen) => {
      const { context, ratio, palette: colors } = pen;
      const x = pen.place("x");
      const y = pen.place("y");
      thresholds?.forEach((value, i) => {
        context.strokeStyle = fade(i === 0 ? colors.warn : colors.bad, 0.5);
        context.setLineDash([4 * ratio, 4 * ratio]);
        context.lineWidth = ratio;
        context.beginPath();
        context.moveTo(pen.left, y(value));
        context.lineTo(pen.left + pen.width, y(value));
        context.stroke();
        context.setLineDash([]);
      });
      const stroke = new Path2D();
      const area = new Path2D();
      const floor = pen.top + pen.height;
      area.moveTo(x(0), floor);
      curve.p.forEach((p, i) => {
        const at = x(tailPosition(p));
        stroke.lineTo(at, y(curve.value[i]!));
        area.lineTo(at, y(curve.value[i]!));
        if (i === curve.p.length - 1) area.lineTo(at, floor);
      });
      const gradient = context.createLinearGradient(0, pen.top, 0, floor);
      gradient.addColorStop(0, fade(colors.latency, 0.28));
      gradient.addColorStop(1, fade(colors.latency, 0));
      context.fillStyle = gradient;
      context.fill(area);
      context.strokeStyle = colors.latency;
      context.lineWidth = 1.8 * ratio;
      context.lineJoin = "round";
      context.stroke(stroke);
    },
    [curve, thresholds],
  );
  const spots = useMemo(
    () => (highlight && palette ? [{ scale: "y", x: tailPosition(Math.min(highlight.p, 99.9999)), y: highlight.value, color: palette.ink }] : []),
    [highlight, palette],
  );
  const root = usePlot(AXES, palette && { reach, palette, draw, spots, onHover: (at) => onHover?.(at === null ? null : 100 * (1 - 10 ** -at)) });
  return (
    <div role="img" aria-label={props.label} className={cn("relative", props.className ?? "h-64")}>
      <div ref={root} className="absolute inset-0" />
    </div>
  );
}
