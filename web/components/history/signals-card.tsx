"use client";

import { ChartLine, Plus, Search, X } from "lucide-react";
import { useMemo, useState } from "react";
import { Button, Card, EmptyState, ErrorState, IconButton, Skeleton } from "@/components/ui";
import type { SignalName, Signals } from "@/lib/api";
import { signalLines } from "@/lib/history/series";
import { type Range, type SignalKey, signalsUrl } from "@/lib/history/urls";
import { useApi } from "@/lib/history/use-api";
import { type View, signalId } from "@/lib/history/view-url";
import { RangeChart } from "./range-chart";

interface Props {
  view: View;
  whole: { from: number; to: number };
  onChange: (signals: SignalKey[]) => void;
  onZoom: (range: Range) => void;
}

const MOST = 6;
const POINTS = 800;

/** The machine beside the frames: any signal of the session, over the same stretch and under the same cursor. */
export function SignalsCard({ view, whole, onChange, onZoom }: Props) {
  const [picking, setPicking] = useState(false);
  const { data, failure, reload } = useApi<Signals>(signalsUrl(view.id, null, null, POINTS));
  const chosen = new Set(view.signals.map(signalId));
  const toggle = (signal: SignalKey) => {
    const id = signalId(signal);
    onChange(chosen.has(id) ? view.signals.filter((one) => signalId(one) !== id) : [...view.signals, signal]);
  };
  const available = data?.available ?? [];
  return (
    <Card
      id="signals"
      title="Signals"
      note="power, load, temperatures: over the same time"
      actions={available.length > 0 && <Button icon={picking ? X : Plus} aria-expanded={picking} onClick={() => setPicking(!picking)}>{picking ? "Done" : "Add signals"}</Button>}
    >
      {failure && !data && <ErrorState title="The signals cannot be listed" what={failure.message} onRetry={reload} />}
      {!data && !failure && <Skeleton className="h-24" />}
      {data && available.length === 0 && <EmptyState icon={ChartLine} title="No signals in this session">No collector of the machine was recording.</EmptyState>}
      {picking && <Picker available={available} chosen={chosen} onToggle={toggle} />}
      {available.length > 0 && view.signals.length === 0 && !picking && (
        <EmptyState icon={ChartLine} title={`${available.length} signals to look at`} className="py-6">
          <span className="flex flex-wrap justify-center gap-2 pt-1">
            {suggested(available).map((signal) => (
              <Button key={signalId(signal)} onClick={() => toggle(signal)}>{signal.source} {signal.key}</Button>
            ))}
          </span>
        </EmptyState>
      )}
      <div className="grid grid-cols-1 gap-4 xl:grid-cols-2">
        {view.signals.map((signal) => (
          <Signal key={signalId(signal)} id={view.id} signal={signal} view={view} whole={whole} onZoom={onZoom} onRemove={() => toggle(signal)} />
        ))}
      </div>
    </Card>
  );
}

/** What most people look at first: power, then load, then temperature. */
function suggested(available: SignalName[]): SignalName[] {
  const found = ["W", "%", "°C"].map((unit) => available.find((signal) => signal.unit === unit));
  return found.filter((signal): signal is SignalName => signal !== undefined);
}

function grouped(signals: SignalName[]): Map<string, SignalName[]> {
  const groups = new Map<string, SignalName[]>();
  for (const signal of signals) {
    const name = signal.dev === null ? signal.source : `${signal.source}, ${signal.dev}`;
    groups.set(name, [...(groups.get(name) ?? []), signal]);
  }
  return groups;
}

function Picker({ available, chosen, onToggle }: { available: SignalName[]; chosen: Set<string>; onToggle: (signal: SignalKey) => void }) {
  const [search, setSearch] = useState("");
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = available.filter((signal) => {
    const text = `${signal.source} ${signal.dev ?? ""} ${signal.key} ${signal.unit ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const groups = grouped(matching);
  return (
    <div className="mb-4 rounded-control border border-hairline bg-solid p-3">
      <label className="relative mb-3 block">
        <span className="sr-only">Search signals</span>
        <Search aria-hidden className="pointer-events-none absolute top-2.5 left-3 size-4 text-ink-3" />
        <input type="search" autoFocus value={search} onChange={(event) => setSearch(event.target.value)} placeholder="power, gpu temp, ..." className="h-9 w-full rounded-control border border-hairline-strong/60 bg-solid pr-3 pl-9 placeholder:text-ink-3" />
      </label>
      <div tabIndex={0} role="group" aria-label="Signals of this session" className="max-h-72 overflow-y-auto">
        {matching.length === 0 && <p className="py-4 text-center text-ink-2">No signal matches.</p>}
        {[...groups].map(([name, signals]) => (
          <fieldset key={name} className="mb-3">
            <legend className="mb-1 text-label font-medium text-ink-3">{name}</legend>
            <div className="grid grid-cols-1 gap-x-4 sm:grid-cols-2 xl:grid-cols-4">
              {signals.map((signal) => {
                const id = signalId(signal);
                return (
                  <label key={id} className="flex min-h-8 items-center gap-2 rounded-sm px-1 hover:bg-info-soft">
                    <input type="checkbox" className="size-4 accent-latency" checked={chosen.has(id)} disabled={!chosen.has(id) && chosen.size >= MOST} onChange={() => onToggle({ source: signal.source, key: signal.key, dev: signal.dev })} />
                    <span className="min-w-0 truncate">{signal.key}</span>
                    {signal.unit && <span className="text-label text-ink-3">{signal.unit}</span>}
                  </label>
                );
              })}
            </div>
          </fieldset>
        ))}
      </div>
      {chosen.size >= MOST && <p className="pt-2 text-label text-ink-2">At most {MOST} at a time: take one away to add another.</p>}
    </div>
  );
}

interface SignalProps extends Omit<Props, "onChange"> {
  id: string;
  signal: SignalKey;
  onRemove: () => void;
}

function Signal({ id, signal, view, whole, onZoom, onRemove }: SignalProps) {
  const { data, failure, reload } = useApi<Signals>(signalsUrl(id, signal, view.range, POINTS));
  const series = data?.series[0];
  const lines = useMemo(() => (series ? signalLines(series) : null), [series]);
  const name = [signal.source, signal.dev, signal.key].filter(Boolean).join(" ");
  return (
    <section aria-label={name} className="min-w-0 rounded-control border border-hairline bg-solid p-3">
      <div className="flex items-center justify-between gap-2">
        <h3 className="min-w-0 truncate font-medium" title={name}>
          {signal.key} {series?.unit && <span className="text-label font-normal text-ink-3">{series.unit}</span>}
          <span className="ml-2 text-label font-normal text-ink-3">{[signal.source, signal.dev].filter(Boolean).join(", ")}</span>
        </h3>
        <IconButton icon={X} label={`Take ${name} away`} onClick={onRemove} />
      </div>
      {failure && !data && <ErrorState title="This signal cannot be shown" what={failure.message} onRetry={reload} className="py-4" />}
      {!data && !failure && <Skeleton className="h-48" />}
      {data && (!lines || lines.x.length === 0) && <EmptyState title="No values in this range" className="py-6" />}
      {lines && lines.x.length > 0 && (
        <RangeChart label={`Chart of ${name}`} data={lines} range={view.range} whole={whole} onZoom={onZoom} className="h-44" />
      )}
    </section>
  );
}
