"use client";

import { ChartColumn } from "lucide-react";
import { useMemo, useState } from "react";
import { Histogram } from "@/components/charts";
import { Card, EmptyState, Skeleton } from "@/components/ui";
import type { Latency } from "@/lib/api";
import { count, latency, number } from "@/lib/format";

/** What webd counts as 0; it has no place on a logarithmic axis. */
const LEAST_MS = 1e-6;

/** How often each latency occurred in what is shown. */
export function Distribution({ answer }: { answer: Latency | null }) {
  return (
    <Card id="distribution" title="Distribution" note="frames by latency, ms, logarithmic">
      {!answer && <Skeleton className="h-80" />}
      {answer && answer.stats.n === 0 && <EmptyState icon={ChartColumn} title="No frames in this range" className="h-80" />}
      {answer && answer.stats.n > 0 && (
        <>
          <Bars answer={answer} />
          <Percentiles answer={answer} />
        </>
      )}
    </Card>
  );
}

function Bars({ answer: { histogram, stats } }: { answer: Latency }) {
  const [bin, setBin] = useState<number | null>(null);
  const { edges_ms: edges, counts } = histogram;
  const drawn = useMemo(() => Float64Array.from(edges, (edge) => Math.max(edge, LEAST_MS)), [edges]);
  const marks = [["p50", stats.p50_ms], ["p95", stats.p95_ms], ["p99", stats.p99_ms]].flatMap(([label, value]) =>
    typeof value === "number" ? [{ label: String(label), value }] : [],
  );
  const shown = bin !== null && counts[bin] !== undefined;
  return (
    <>
      <p aria-hidden className="figures h-4 truncate text-label text-ink-2">
        {shown && `${number(edges[bin])} to ${number(edges[bin + 1])} ms: ${count(counts[bin])} frames`}
      </p>
      <Histogram label={`Histogram of ${count(stats.n)} frames from ${number(edges[0])} to ${number(edges.at(-1))} ms`} edges={drawn} counts={counts} log marks={marks} onHover={setBin} className="h-72" />
    </>
  );
}

function Percentiles({ answer: { stats } }: { answer: Latency }) {
  const rows: [string, number | null][] = [["lowest", stats.min_ms], ["median", stats.p50_ms], ["p95", stats.p95_ms], ["p99", stats.p99_ms], ["highest", stats.max_ms]];
  return (
    <dl className="figures mt-3 grid grid-cols-5 gap-2 border-t border-hairline pt-3 text-center">
      {rows.map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="text-label text-ink-3">{name}</dt>
          <dd className="truncate font-medium">{latency(value).value}</dd>
        </div>
      ))}
    </dl>
  );
}
