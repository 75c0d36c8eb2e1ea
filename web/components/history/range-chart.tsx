"use client";

import { TimeChart, type TimeChartProps } from "@/components/charts";
import { clockTime, number } from "@/lib/format";
import { useCursor } from "@/lib/history/cursor";
import type { Lines } from "@/lib/history/series";
import type { Range } from "@/lib/history/urls";
import { nearest } from "@/lib/stats";

interface Props extends Pick<TimeChartProps, "label" | "gaps" | "marks" | "flags" | "className"> {
  data: Lines;
  /** What is shown; null is the whole. */
  range: Range;
  whole: { from: number; to: number };
  onZoom: (range: Range) => void;
}

/** A chart of a stretch of a session: dragging zooms, the cursor is that of all such charts. */
export function RangeChart({ data, range, whole, onZoom, label, ...rest }: Props) {
  const { t, setT } = useCursor();
  const { from, to } = range ?? whole;
  return (
    <div>
      <Readout data={data} t={t} />
      <TimeChart
        label={`${label}. Plus and minus zoom, comma and full stop move, 0 shows all`}
        x={data.x}
        lines={data.lines}
        from={from}
        to={to > from ? to : from + 1}
        cursor={t}
        onCursor={setT}
        onZoom={(a, b) => onZoom({ from: a, to: b })}
        onReset={() => onZoom(null)}
        {...rest}
      />
    </div>
  );
}

/** The values under the cursor, in a line that is always there. */
function Readout({ data: { x, lines }, t }: { data: Lines; t: number | null }) {
  const at = t === null ? -1 : nearest(x, t);
  const words = lines.map(({ label, unit, y, low, high }) => {
    const value = y[at];
    if (value === undefined || Number.isNaN(value)) return `${label} –`;
    const band = low && high ? ` (${number(low[at])} to ${number(high[at])})` : "";
    return `${label} ${number(value)}${band} ${unit}`;
  });
  return (
    <p aria-hidden data-readout className="figures h-4 truncate text-label text-ink-2">
      {at >= 0 && [clockTime(x[at], true), ...words].join("  ·  ")}
    </p>
  );
}
