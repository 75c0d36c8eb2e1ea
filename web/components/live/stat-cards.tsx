"use client";

import { Minus, TrendingDown, TrendingUp } from "lucide-react";
import type { ReactNode } from "react";
import { Skeleton, cn } from "@/components/ui";
import * as format from "@/lib/format";
import { useLive } from "@/lib/live/store";
import { type Figure, type Figures, absentPower } from "@/lib/live/view";
import { look, meaning } from "./verdict";

function Spark({ values, color }: { values: Float64Array; color: string }) {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length < 2) return <div className="h-7" />;
  const low = Math.min(...known);
  const height = Math.max(...known) - low || 1;
  let path = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (Number.isNaN(value)) {
      pen = "M";
      return;
    }
    path += `${pen}${((i / (values.length - 1)) * 100).toFixed(1)} ${(26 - ((value - low) / height) * 22).toFixed(1)}`;
    pen = "L";
  });
  return (
    <svg aria-hidden viewBox="0 0 100 28" preserveAspectRatio="none" className={cn("h-7 w-full", color)} fill="none" stroke="currentColor">
      <path d={path} strokeWidth="1.5" vectorEffect="non-scaling-stroke" strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}

const HALVES = "newer half of the window against the older half";

type Show = (value: number | null) => format.Quantity;

function Trend({ figure, show, against, short = false }: { figure: Figure; show: Show; against: string; short?: boolean }) {
  if (figure.trend === null) return short ? null : <span className="text-ink-3">no trend yet</span>;
  const { value, unit } = show(Math.abs(figure.trend));
  const flat = Number(value) === 0;
  const Icon = flat ? Minus : figure.trend > 0 ? TrendingUp : TrendingDown;
  return (
    <span title={against} className="inline-flex min-w-0 items-center gap-1 whitespace-nowrap text-ink-2">
      <Icon aria-hidden className="size-3.5 shrink-0" />
      <span className="sr-only">{against}: </span>
      {flat ? "" : figure.trend > 0 ? "+" : "−"}
      {value} <span className={cn(short && "sr-only")}>{unit}</span>
    </span>
  );
}

interface CardProps {
  name: string;
  label: string;
  quantity: format.Quantity;
  figure: Figure;
  show: Show;
  color: string;
  tone?: string;
  sign?: ReactNode;
  /** Replaces the trend: what stands beneath the number. */
  beneath?: ReactNode;
  absent?: string;
  against?: string;
}

function StatCard({ name, label, quantity, figure, show, color, tone, sign, beneath, absent, against = HALVES }: CardProps) {
  const missing = quantity.unit === "";
  return (
    <li data-stat={name} className="glass flex min-w-0 flex-col rounded-card p-3.5 pb-3">
      <div className="flex h-5 items-center justify-between gap-2">
        <h2 className="truncate text-label font-medium text-ink-2">{label}</h2>
        {!missing && sign}
      </div>
      <div className="mt-0.5 min-w-0">
        <div className={cn("figures flex items-baseline gap-1 whitespace-nowrap", missing ? "text-ink-3" : tone)}>
          <span data-value className={cn("font-semibold tracking-tight", missing ? "text-title leading-8" : "text-figure")}>{quantity.value}</span>
          <span className="text-body text-ink-3">{quantity.unit}</span>
        </div>
        {missing && absent ? <p className="min-h-7 text-label text-ink-3">{absent}</p> : <Spark values={figure.spark} color={color} />}
        <div className="figures mt-1.5 flex items-center justify-between gap-2 text-label">
          {beneath ?? <Trend figure={figure} show={show} against={against} />}
          <span className="text-ink-3 whitespace-nowrap" title="number of readings">n {format.count(figure.n)}</span>
        </div>
      </div>
    </li>
  );
}

const NONE = "no frame in this window";

function LatencyCard({ name, label, figure, against }: { name: string; label: string; figure: Figure; against?: string }) {
  const thresholds = useLive((s) => s.thresholds);
  const shown = figure.value === null ? null : look(figure.value, thresholds);
  const Icon = shown?.icon;
  return (
    <StatCard
      name={name}
      label={label}
      quantity={format.latency(figure.value)}
      figure={figure}
      show={format.latency}
      color="text-latency"
      tone={shown?.text}
      absent={NONE}
      against={against}
      sign={
        shown && Icon && (
          <span title={meaning(thresholds)} className={cn("inline-flex items-center gap-1 text-label font-medium", shown.text)}>
            <Icon aria-hidden className="size-3.5" />
            {shown.word}
          </span>
        )
      }
    />
  );
}

/** The newest frame's latency, with the course of the averages. */
function CurrentCard({ mean }: { mean: Figure }) {
  const value = useLive((s) => s.newest?.lat ?? null);
  const trend = value === null || mean.value === null ? null : value - mean.value;
  return <LatencyCard name="current" label="Current" figure={{ ...mean, value, trend }} against="against the window's average" />;
}

function PowerCard({ figures }: { figures: Figures }) {
  const state = useLive((s) => s.state);
  const still = useLive((s) => s.paused || s.zoom !== null || s.status.kind === "offline");
  const now = !still && state;
  const newest = useLive((s) => s.newest?.power ?? null);
  // the state, told once a second, knows whether what is known of the power is too old to be called now
  const value = now && state.power_now_w === null ? null : (newest ?? (now ? state.power_now_w : null));
  const reason = now && !state.power_source ? "no_source" : absentPower(figures.of);
  return (
    <StatCard
      name="power"
      label={now ? "Power now" : "Power, last"}
      quantity={format.power(value)}
      figure={figures.power}
      show={format.power}
      color="text-power"
      absent={format.why(reason)}
      beneath={
        <span className="min-w-0 truncate whitespace-nowrap text-ink-2">
          avg <span data-power-avg>{format.text(format.power(figures.power.value))}</span>
        </span>
      }
      sign={<span className="figures text-label"><Trend short figure={figures.power} show={format.power} against={`W, ${HALVES}`} /></span>}
    />
  );
}

const GRID = "grid grid-cols-2 gap-3 sm:grid-cols-4 sm:gap-4 min-[87rem]:grid-cols-8 min-[87rem]:gap-3 2xl:gap-4";

/** The eight figures of the window, each with its course, its trend and how many readings it is made of. */
export function StatCards() {
  const figures = useLive((s) => s.figures);
  if (!figures) return <StatSkeletons />;
  return (
    <ul className={GRID} aria-label="Figures of the window">
      <CurrentCard mean={figures.mean} />
      <LatencyCard name="min" label="Minimum" figure={figures.min} />
      <LatencyCard name="max" label="Maximum" figure={figures.max} />
      <LatencyCard name="avg" label="Average" figure={figures.mean} />
      <LatencyCard name="p95" label="p95" figure={figures.p95} />
      <LatencyCard name="p99" label="p99" figure={figures.p99} />
      <PowerCard figures={figures} />
      <StatCard
        name="energy"
        label="Energy / frame"
        quantity={format.energy(figures.energy.value)}
        figure={figures.energy}
        show={format.energy}
        color="text-power"
        absent={figures.of.t.length ? format.why(absentPower(figures.of)) : NONE}
      />
    </ul>
  );
}

/** The cards' places before there is anything to show. */
export function StatSkeletons() {
  return (
    <div className={GRID}>
      {Array.from({ length: 8 }, (_, i) => (
        <div key={i} className="glass flex h-[8.25rem] flex-col gap-2 rounded-card p-3.5">
          <Skeleton className="h-4 w-16" />
          <Skeleton className="h-7 w-24" />
          <Skeleton className="mt-auto h-4 w-full" />
        </div>
      ))}
    </div>
  );
}
