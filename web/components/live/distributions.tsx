"use client";

import { type ReactNode, useMemo, useState } from "react";
import { Histogram, Percentiles, Scatter } from "@/components/charts";
import { Card } from "@/components/ui";
import * as format from "@/lib/format";
import { setCursor, useLive } from "@/lib/live/store";
import { type Figures, absentPower } from "@/lib/live/view";
import { extent } from "@/lib/scale";
import { histogram, nearest, percentile, percentileCurve, rankOf } from "@/lib/stats";

const SIDE = "h-[clamp(13rem,20dvh,22rem)]";

/** The row under the cursor, whichever chart the pointer is on. */
function useRow(figures: Figures): number {
  const cursor = useLive((s) => s.cursor);
  const { t, from, to } = figures.of;
  return useMemo(() => {
    const row = cursor === null ? -1 : nearest(t, cursor);
    return row >= 0 && Math.abs(t[row]! - cursor!) < (to - from) * 0.02 ? row : -1;
  }, [cursor, t, from, to]);
}

function Blank({ children }: { children: ReactNode }) {
  return <div className={`flex ${SIDE} items-center justify-center px-6 text-center text-ink-2`}>{children}</div>;
}

function strength(r: number): string {
  if (Number.isNaN(r)) return "correlation unknown";
  const size = Math.abs(r);
  const word = size < 0.1 ? "no" : size < 0.3 ? "weak" : size < 0.6 ? "moderate" : "strong";
  return `r = ${r.toFixed(2).replace("-", "−")}, ${word} correlation`;
}

/** Each frame's latency against its power. */
export function ScatterCard({ figures }: { figures: Figures }) {
  const thresholds = useLive((s) => s.thresholds);
  const row = useRow(figures);
  const { of } = figures;
  const powered = useMemo(() => extent(of.power) !== null, [of]);
  const note = row >= 0 && powered ? `${format.text(format.latency(of.lat[row]))} at ${format.text(format.power(of.power[row]))}` : strength(figures.correlation);
  return (
    <Card id="scatter" title="Power against latency" note={<span className="figures">W over ms{powered && ` · ${note}`}</span>} body="px-2 pb-2">
      {powered ? (
        <Scatter
          label={`Scatter of power over latency, ${strength(figures.correlation)}`}
          x={of.lat}
          y={of.power}
          highlight={row}
          thresholds={thresholds}
          onHover={(at) => setCursor(at === null ? null : of.t[at]!)}
          className={SIDE}
        />
      ) : (
        <Blank>{of.t.length ? `Power absent: ${format.why(absentPower(of))}` : "No frame in this range"}</Blank>
      )}
    </Card>
  );
}

/** How the latencies are spread. */
export function HistogramCard({ figures }: { figures: Figures }) {
  const thresholds = useLive((s) => s.thresholds);
  const row = useRow(figures);
  const [bin, setBin] = useState<number | null>(null);
  const { ordered } = figures;
  const bins = useMemo(() => histogram(ordered), [ordered]);
  const marks = useMemo(() => (ordered.length ? [50, 95, 99].map((p) => ({ value: percentile(ordered, p), label: `p${p}` })) : []), [ordered]);
  const shown = bins && bin !== null && bin < bins.counts.length ? bin : null;
  const note =
    bins && shown !== null
      ? `${format.number(bins.edges[shown], 4)} – ${format.number(bins.edges[shown + 1], 4)} ms${bins.over && shown === bins.counts.length - 1 ? " and above" : ""}: ${format.count(bins.counts[shown])} frames, ${((100 * bins.counts[shown]!) / ordered.length).toFixed(1)} %`
      : "frames by latency, ms";
  return (
    <Card id="histogram" title="Latency distribution" note={<span className="figures">{note}</span>} body="px-2 pb-2">
      {bins ? (
        <Histogram
          label={`Histogram of ${ordered.length} latencies`}
          edges={bins.edges}
          counts={bins.counts}
          marks={marks}
          thresholds={thresholds}
          cursor={row >= 0 ? figures.of.lat[row]! : null}
          onHover={setBin}
          className={SIDE}
        />
      ) : (
        <Blank>No frame in this range</Blank>
      )}
    </Card>
  );
}

/** Latency by percentile, with the tail spread out. */
export function PercentileCard({ figures }: { figures: Figures }) {
  const thresholds = useLive((s) => s.thresholds);
  const row = useRow(figures);
  const [hovered, setHovered] = useState<number | null>(null);
  const { ordered } = figures;
  const curve = useMemo(() => (ordered.length > 1 ? percentileCurve(ordered) : null), [ordered]);
  const highlight = useMemo(() => {
    if (!curve) return null;
    const last = curve.p[curve.p.length - 1]!;
    if (hovered !== null) return { p: Math.min(hovered, last), value: percentile(ordered, Math.min(hovered, last)) };
    if (row < 0) return null;
    const value = figures.of.lat[row]!;
    return { p: Math.min(rankOf(ordered, value), last), value };
  }, [curve, ordered, hovered, row, figures]);
  const note = highlight ? `p${Number(highlight.p.toFixed(2))} = ${format.text(format.latency(highlight.value))}` : "latency, ms, by percentile of frames";
  return (
    <Card id="percentiles" title="Percentile curve" note={<span className="figures">{note}</span>} body="px-2 pb-2">
      {curve ? (
        <Percentiles label={`Percentile curve of ${ordered.length} latencies`} curve={curve} thresholds={thresholds} highlight={highlight} onHover={setHovered} className={SIDE} />
      ) : (
        <Blank>{ordered.length ? "A curve needs two frames" : "No frame in this range"}</Blank>
      )}
    </Card>
  );
}
