"use client";

import { Card } from "@/components/ui";
import * as format from "@/lib/format";
import type { Figures } from "@/lib/live/view";
import { absentPower } from "@/lib/live/view";
import type { Summary } from "@/lib/stats";

type Show = (value: number | null) => format.Quantity;

function Row({ name, color, summary, show, absent }: { name: string; color: string; summary: Summary | null; show: Show; absent: string }) {
  const cell = "figures px-2 py-2 text-right whitespace-nowrap";
  return (
    <tr className="border-t border-hairline">
      <th scope="row" className={`sticky left-0 py-2 pr-2 text-left font-medium whitespace-nowrap ${color}`}>{name}</th>
      {summary ? (
        <>
          {[summary.min, summary.mean, summary.p50, summary.p95, summary.p99, summary.max].map((value, i) => (
            <td key={i} className={cell}>{format.text(show(value))}</td>
          ))}
          <td className={`${cell} pr-0 text-ink-3`}>{format.count(summary.n)}</td>
        </>
      ) : (
        <td colSpan={7} className="py-2 pl-2 text-ink-2">absent: {absent}</td>
      )}
    </tr>
  );
}

/** The same as the charts in numbers, for reading, copying and screen readers. */
export function StatisticsCard({ figures }: { figures: Figures }) {
  const { of } = figures;
  const absent = of.t.length ? format.why(absentPower(of)) : "no frame in this range";
  const lost = of.gaps.reduce((sum, [from, to]) => sum + to - from, 0);
  return (
    <Card id="statistics" title="Statistics" note="of the shown range" className="lg:col-span-2" body="flex flex-col justify-between px-4 pb-3">
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Statistics of the shown range">
        <table className="w-full text-body">
          <thead>
            <tr className="text-label text-ink-3">
              <th scope="col" className="sticky left-0 py-2 text-left font-medium"><span className="sr-only">Signal</span></th>
              {["min", "mean", "p50", "p95", "p99", "max"].map((name) => (
                <th key={name} scope="col" className="px-2 py-2 text-right font-medium">{name}</th>
              ))}
              <th scope="col" className="py-2 pl-2 text-right font-medium">n</th>
            </tr>
          </thead>
          <tbody>
            <Row name="Latency" color="text-latency-ink" summary={figures.latencies} show={format.latency} absent="no frame in this range" />
            <Row name="Power" color="text-power-ink" summary={figures.powers} show={format.power} absent={absent} />
            <Row name="Energy / frame" color="text-power-ink" summary={figures.energies} show={format.energy} absent={absent} />
          </tbody>
        </table>
      </div>
      <dl className="figures flex flex-wrap gap-x-6 gap-y-1 border-t border-hairline pt-2.5 text-label text-ink-3">
        <Fact name="Energy of all frames" value={format.text(format.energy(figures.energy_total))} />
        <Fact name="Dropped" value={format.count(of.drops.t.length)} />
        <Fact name="Gaps" value={of.gaps.length ? `${of.gaps.length}, ${format.duration(lost)} in all` : "none"} />
      </dl>
    </Card>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex gap-1.5">
      <dt>{name}</dt>
      <dd className="text-ink">{value}</dd>
    </div>
  );
}
