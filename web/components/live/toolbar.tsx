"use client";

import { Download, Pause, Play, SlidersHorizontal } from "lucide-react";
import { useMemo, useState } from "react";
import { Button, IconButton, Segmented, Select } from "@/components/ui";
import type { Pair } from "@/lib/api";
import * as format from "@/lib/format";
import { csvName, csvOf, download } from "@/lib/live/csv";
import { pairsOf, samePair } from "@/lib/live/model";
import { WINDOWS_MS, choosePair, chooseWindow, togglePause, useLive } from "@/lib/live/store";
import { Badges } from "./badges";
import { ThresholdsDialog } from "./thresholds";

const WINDOW_NAMES = ["30 s", "1 min", "5 min", "15 min"];
const WINDOW_OPTIONS = WINDOWS_MS.map((value, i) => ({ value, label: WINDOW_NAMES[i]!, title: `The last ${WINDOW_NAMES[i]} (${i + 1})` }));

/** Save what the page shows as CSV. */
export function exportShown(): void {
  const { view } = useLive.getState();
  if (view) download(csvName(view), csvOf(view));
}

function PairSelect() {
  const pair = useLive((s) => s.pair);
  const hello = useLive((s) => s.hello);
  const state = useLive((s) => s.state);
  const pairs = useMemo(() => pairsOf(hello, state), [hello, state]);
  if (!pair) return null;
  const all = pairs.some((each) => samePair(each, pair)) ? pairs : [pair, ...pairs];
  if (all.length < 2) return <span className="truncate text-body text-ink-2" title="The pair of stages that latency is measured between">{format.pairName(pair)}</span>;
  return (
    <Select
      label="Pair of stages"
      value={JSON.stringify(pair)}
      options={all.map((each) => ({ value: JSON.stringify(each), label: format.pairName(each) }))}
      onChange={(value) => choosePair(JSON.parse(value) as Pair)}
      className="max-w-64"
    />
  );
}

function PauseButton() {
  const paused = useLive((s) => s.paused);
  const waiting = useLive((s) => s.waiting);
  const shown = useLive((s) => s.paused || (s.view?.t.length ?? 0) > 0);
  return (
    <Button variant={paused ? "primary" : "plain"} icon={paused ? Play : Pause} disabled={!shown} onClick={togglePause} title={paused ? "Go on (Space)" : "Pause (Space)"} className="figures">
      {paused ? "Resume" : "Pause"}
      {paused && waiting > 0 && <span data-waiting={waiting} className="rounded-full bg-ground/20 px-2 text-label">+{format.count(waiting)}</span>}
    </Button>
  );
}

/** The page's heading: which session and pair, what state the data is in, and the controls. */
export function Toolbar() {
  const session = useLive((s) => s.view?.session ?? s.hello?.session ?? null);
  const node = useLive((s) => s.hello?.node);
  const window_ms = useLive((s) => s.window_ms);
  const zoomed = useLive((s) => s.zoom !== null);
  const some = useLive((s) => (s.view?.t.length ?? 0) > 0);
  const [limits, setLimits] = useState(false);
  return (
    <div className="flex flex-col gap-3 lg:flex-row lg:items-center lg:justify-between">
      <div className="flex min-w-0 flex-col gap-2">
        <div className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="max-w-full truncate text-title font-semibold tracking-tight" title={session ?? undefined}>{session ?? "Live"}</h1>
          {node && <span className="text-ink-3">on {node}</span>}
          <PairSelect />
        </div>
        <Badges />
      </div>
      <div className="flex flex-wrap items-center gap-2">
        <Segmented label="Window" value={zoomed ? null : window_ms} options={WINDOW_OPTIONS} onChange={chooseWindow} className="w-full sm:w-auto" />
        <PauseButton />
        <Button icon={Download} disabled={!some} onClick={exportShown} title="Export what is shown as CSV (E)">CSV</Button>
        <IconButton icon={SlidersHorizontal} label="Latency thresholds" onClick={() => setLimits(true)} />
        <ThresholdsDialog open={limits} onClose={() => setLimits(false)} />
      </div>
    </div>
  );
}
