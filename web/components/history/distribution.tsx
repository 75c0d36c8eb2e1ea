import { ChartColumn } from "lucide-react";
import { Card, EmptyState, Skeleton } from "@/components/ui";
import type { Latency } from "@/lib/api";
import { count, latency, number } from "@/lib/format";

const [WIDTH, HEIGHT] = [400, 220];

/** How often each latency occurred in what is shown. */
export function Distribution({ answer }: { answer: Latency | null }) {
  return (
    <Card id="distribution" title="Distribution" note="how many frames had which latency">
      {!answer && <Skeleton className="h-56" />}
      {answer && answer.stats.n === 0 && <EmptyState icon={ChartColumn} title="No frames in this range" />}
      {answer && answer.stats.n > 0 && (
        <>
          <Bars edges={answer.histogram.edges_ms} counts={answer.histogram.counts} p95={answer.stats.p95_ms} />
          <Percentiles answer={answer} />
        </>
      )}
    </Card>
  );
}

function Bars({ edges, counts, p95 }: { edges: number[]; counts: number[]; p95: number | null }) {
  const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 1];
  const top = Math.max(1, ...counts);
  const x = (value: number) => ((value - low) / (high - low || 1)) * WIDTH;
  const y = (value: number) => HEIGHT - (value / top) * (HEIGHT - 8);
  return (
    <figure>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="h-56 w-full" role="img" aria-label={`Histogram of latency from ${number(low)} to ${number(high)} ms, at most ${count(top)} frames in a bar`}>
        {counts.map((value, index) => {
          const [a, b] = [x(edges[index] ?? low), x(edges[index + 1] ?? high)];
          return (
            <rect key={index} x={a} y={y(value)} width={Math.max(0.5, b - a - 0.8)} height={HEIGHT - y(value)} className="fill-latency">
              <title>{`${number(edges[index])} to ${number(edges[index + 1])} ms: ${count(value)} frames`}</title>
            </rect>
          );
        })}
        <line x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} className="stroke-hairline-strong" vectorEffect="non-scaling-stroke" />
        {p95 !== null && <line x1={x(p95)} x2={x(p95)} y1="0" y2={HEIGHT} strokeDasharray="4 4" className="stroke-ink-2" vectorEffect="non-scaling-stroke" />}
      </svg>
      <figcaption className="figures flex justify-between pt-1 text-label text-ink-3">
        <span>{number(low)} ms</span>
        {p95 !== null && <span>dashed: p95</span>}
        <span>{number(high)} ms</span>
      </figcaption>
    </figure>
  );
}

function Percentiles({ answer }: { answer: Latency }) {
  const { stats } = answer;
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
