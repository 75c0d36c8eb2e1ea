"use client";

import { Clock, ClockAlert, FlaskConical, Gauge, Hourglass, Pause, Radio, RefreshCw, Timer, TriangleAlert, Unplug, WifiOff, ZapOff } from "lucide-react";
import { useEffect, useState } from "react";
import { Badge } from "@/components/ui";
import { pairKey } from "@/lib/api";
import * as format from "@/lib/format";
import { serverTime, useLive } from "@/lib/live/store";

const LATE_MS = 1_000;
const VIEWER_CLOCK_MS = 5_000;

function LineBadge() {
  const kind = useLive((s) => s.status.kind);
  const muxd = useLive((s) => s.state?.muxd);
  const paused = useLive((s) => s.paused);
  const ended = useLive((s) => s.ended);
  if (paused) return <Badge icon={Pause} title="The page stands still; new frames are kept">Paused</Badge>;
  if (kind === "offline") return <Badge tone="bad" icon={WifiOff}>Disconnected</Badge>;
  if (kind === "connecting") return <Badge icon={RefreshCw}>Connecting</Badge>;
  if (ended !== null) return <Badge icon={Hourglass} title={ended}>Ended</Badge>;
  if (kind === "polling") return <Badge tone="warn" icon={Timer} title="The stream is blocked between this page and the server; the page asks once a second">Polling</Badge>;
  if (muxd === "stale" || muxd === "absent") return null;
  return <Badge tone="ok" icon={Radio}>Live</Badge>;
}

/** What muxd last wrote, and how long ago. */
function StaleBadge() {
  const state = useLive((s) => s.state);
  const open = useLive((s) => s.status.kind !== "offline" && s.ended === null && s.hello?.session != null);
  if (!open || !state || state.muxd === "live") return null;
  const age = state.lag_ms === null ? "" : `, last frame ${format.duration(state.lag_ms)} ago`;
  return state.muxd === "absent" ? (
    <Badge tone="bad" icon={Unplug} title="No muxd is writing this session">muxd absent{age}</Badge>
  ) : (
    <Badge tone="warn" icon={Hourglass} title={`Newest frame: ${format.dateTime(state.newest_ms)}`}>Stale{age}</Badge>
  );
}

function LagBadge() {
  const state = useLive((s) => s.state);
  const open = useLive((s) => s.status.kind !== "offline" && s.ended === null);
  if (!open || !state || state.muxd !== "live" || state.lag_ms === null) return null;
  const late = state.lag_ms > LATE_MS;
  return (
    <Badge tone={late ? "warn" : "neutral"} icon={Gauge} title="Server's time less the newest frame's time">
      <span data-lag>lag {format.duration(Math.max(0, state.lag_ms))}</span>
    </Badge>
  );
}

function DropsBadge() {
  const pair = useLive((s) => s.pair);
  const dropped = useLive((s) => s.state?.dropped);
  const since_ms = useLive((s) => s.state?.dropped_since_ms ?? null);
  const polling = useLive((s) => s.status.kind === "polling");
  const inRange = useLive((s) => s.view?.drops.t.length ?? 0);
  const shown = polling ? "when each happened is not told while polling" : `${format.count(inRange)} in the shown range`;
  if (!pair || !dropped) return null;
  const total = dropped[pairKey(pair)] ?? 0;
  const since = since_ms === null ? "" : ` since ${format.clockTime(since_ms)}`;
  const whole = since || " since the session's beginning";
  return (
    <Badge tone={total ? "bad" : "ok"} icon={ZapOff} title={`${format.count(total)} frames dropped${whole}, ${shown}`}>
      <span data-drops={total}>{total === 0 ? "no drops" : `${format.count(total)} ${total === 1 ? "drop" : "drops"}`}{since}</span>
    </Badge>
  );
}

function GapBadge() {
  const gaps = useLive((s) => s.view?.gaps.length ?? 0);
  const longest = useLive((s) => Math.max(0, ...(s.view?.gaps ?? []).map(([from, to]) => to - from)));
  if (!gaps) return null;
  return (
    <Badge tone="warn" icon={TriangleAlert} title={`Longest: ${format.duration(longest)} without a frame`}>
      {gaps} {gaps === 1 ? "gap" : "gaps"}
    </Badge>
  );
}

function SimBadge() {
  const hello = useLive((s) => s.hello);
  const rows = useLive((s) => s.view?.sim ?? false);
  if (!hello?.sim && !rows) return null;
  const of = hello?.sim_of?.join(", ");
  return <Badge tone="warn" icon={FlaskConical} title={of ? `Simulated: ${of}` : "These readings are simulated"}>Simulated</Badge>;
}

function ClockBadge() {
  const clock = useLive((s) => s.hello?.clock);
  const session = useLive((s) => s.hello?.session);
  if (!clock || !session) return null;
  const within = clock.unc_ms === null ? "uncertainty unknown" : `±${format.number(clock.unc_ms, 3)} ms`;
  if (clock.synchronized === false) return <Badge tone="warn" icon={ClockAlert} title="The recording machine's clock is not synchronised">clock free, {within}</Badge>;
  if (clock.synchronized === null) return <Badge icon={Clock} title="It is not known whether the recording machine's clock is synchronised">clock {within}</Badge>;
  return <Badge icon={Clock} title="The recording machine's clock is synchronised">clock {within}</Badge>;
}

/** All times are the server's; a viewer whose clock is elsewhere is told, so as not to wonder. */
function ViewerClockBadge() {
  const [off, setOff] = useState(0);
  useEffect(() => {
    const check = () => {
      const now = serverTime();
      if (now !== null) setOff(Date.now() - now);
    };
    const timer = setInterval(check, 5_000);
    return () => clearInterval(timer);
  }, []);
  if (Math.abs(off) < VIEWER_CLOCK_MS) return null;
  return (
    <Badge icon={ClockAlert} title="Every time on this page is the server's">
      your clock is {format.duration(Math.abs(off))} {off > 0 ? "ahead" : "behind"}
    </Badge>
  );
}

/** What is to be known about the data at a glance. */
export function Badges() {
  return (
    <div className="flex min-w-0 flex-wrap items-center gap-1.5" aria-label="State of the data" role="group">
      <LineBadge />
      <StaleBadge />
      <DropsBadge />
      <GapBadge />
      <LagBadge />
      <SimBadge />
      <ClockBadge />
      <ViewerClockBadge />
    </div>
  );
}
