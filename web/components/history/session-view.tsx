"use client";

import { FolderX } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Disconnected, Notice } from "@/components/common/notice";
import { typing } from "@/components/shell/shortcuts";
import { ButtonLink, Card, Command, EmptyState, ErrorState, Skeleton } from "@/components/ui";
import type { Latency, SessionDetail } from "@/lib/api";
import { clockTime, count } from "@/lib/format";
import { type Range, latencyUrl, sessionUrl } from "@/lib/history/urls";
import { type Answer, type Failure, useApi } from "@/lib/history/use-api";
import { goTo } from "@/lib/history/use-address";
import { type View, viewHref } from "@/lib/history/view-url";
import { rangeOfKey, within } from "@/lib/history/zoom";
import { Distribution } from "./distribution";
import { LatencyCard } from "./latency-card";
import { NotesCard } from "./notes-card";
import { RecordingCard } from "./recording-card";
import { SessionHead } from "./session-head";
import { SignalsCard } from "./signals-card";
import { StatsStrip } from "./stats-strip";

const POINTS = 1200;
const DETAIL_MS = 4000;
const GROWING_MS = 2000;
const READING_MS = 400;

/** One session: how its latency and power went, what it recorded, what people noted. */
export function SessionView({ view }: { view: View }) {
  const detail = useApi<SessionDetail>(sessionUrl(view.id), DETAIL_MS);
  const growing = detail.data?.open && !view.range;
  const [reading, setReading] = useState(false);
  const every = reading ? READING_MS : growing ? GROWING_MS : null;
  const latency = useApi<Latency>(latencyUrl(view.id, view.pair, view.range, POINTS), every);
  const isReading = latency.data !== null && latency.data.indexing < 1;
  if (isReading !== reading) setReading(isReading);
  useEffect(() => {
    document.title = `${view.id} · BenchLab`;
  }, [view.id]);
  const gone = detail.failure?.status === 404 ? detail.failure : null;

  if (gone || !detail.data) return <Missing view={view} detail={detail} />;
  return <Loaded view={view} detail={detail} session={detail.data} latency={latency} />;
}

function Missing({ view, detail }: { view: View; detail: Answer<SessionDetail> }) {
  const { failure, data, reload } = detail;
  if (!failure) return <Loading />;
  const back = <ButtonLink href="/sessions/" variant="primary">All sessions</ButtonLink>;
  if (failure.status === 404) {
    return (
      <Card>
        <EmptyState icon={FolderX} title={data ? "This session has been deleted" : "There is no such session"} action={back}>
          <span className="break-all">{view.id}</span>
          {data ? ` was here until ${clockTime(failure.since)}. Pinned sessions are never deleted by retention.` : " may have been deleted, or the address is mistyped."}
        </EmptyState>
      </Card>
    );
  }
  return (
    <Card>
      <ErrorState title="The session cannot be shown" what={failure.message} fix={failure.status === 0 ? "Is webd running? The page tries again by itself." : back} onRetry={reload} />
    </Card>
  );
}

interface LoadedProps {
  view: View;
  session: SessionDetail;
  detail: Answer<SessionDetail>;
  latency: Answer<Latency>;
}

function Loaded({ view, session, detail, latency }: LoadedProps) {
  const whole = useWhole(view, session, latency.data);
  const { go, back } = useNavigation(view);
  const zoom = useCallback((range: Range) => go({ ...view, range: range && within(range, whole) }), [go, view, whole]);
  useKeys(view.range, whole, zoom);
  const failure = detail.failure ?? (latency.failure?.status === 0 ? latency.failure : null);
  const shown = view.range ?? whole;

  return (
    <div className="flex flex-col gap-4">
      <SessionHead session={session} view={view} onPair={(pair) => go({ ...view, pair })} />
      <Notices session={session} failure={failure} reading={latency.data?.indexing ?? 1} />
      {session.pairs.length === 0 ? (
        <Card><NoFrames session={session} /></Card>
      ) : (
        <>
          <StatsStrip answer={latency.data} pending={latency.pending} />
          <div className="grid grid-cols-1 gap-4 xl:grid-cols-3">
            <LatencyCard className="xl:col-span-2" answer={latency} range={view.range} whole={whole} bookmarks={session.bookmarks} onZoom={zoom} onBack={back} />
            <Distribution answer={latency.data} />
          </div>
        </>
      )}
      <SignalsCard view={view} whole={whole} onChange={(signals) => go({ ...view, signals }, "replace")} onZoom={zoom} />
      <div className="grid grid-cols-1 gap-4 xl:grid-cols-3">
        <NotesCard session={session} onChange={detail.reload} onBookmark={(t) => zoom(around(t, shown))} />
        <RecordingCard className="xl:col-span-2" session={session} />
      </div>
    </div>
  );
}

/** Keys zoom and move wherever the focus is, but for where they are typed. */
function useKeys(range: Range, whole: { from: number; to: number }, zoom: (range: Range) => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const next = typing(event) ? undefined : rangeOfKey(event.key, range, whole);
      if (next === undefined || next === range) return;
      event.preventDefault();
      zoom(next);
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [range, whole, zoom]);
}

/** A tenth of what is shown, with a moment in its middle. */
function around(t: number, { from, to }: { from: number; to: number }): Range {
  const half = (to - from) / 20;
  return { from: t - half, to: t + half };
}

/** The whole session's stretch, as the frames without a zoom span it, else as its streams do. */
function useWhole(view: View, session: SessionDetail, answer: Latency | null): { from: number; to: number } {
  const [spanned, setSpanned] = useState<{ from: number; to: number } | null>(null);
  if (!view.range && answer && answer.frames + answer.drops > 0 && (answer.from_ms !== spanned?.from || answer.to_ms !== spanned?.to)) {
    setSpanned({ from: answer.from_ms, to: answer.to_ms });
  }
  const { first_ms: first, last_ms: last } = session;
  return useMemo(() => spanned ?? { from: first ?? 0, to: last ?? 0 }, [spanned, first, last]);
}

/** Zooms are entries of the browser's history, so that its Back undoes them. */
function useNavigation(view: View) {
  const [depth, setDepth] = useState(0);
  const go = useCallback((next: View, how: "push" | "replace" = "push") => {
    goTo(viewHref(next), how);
    if (how === "push") setDepth((old) => old + 1);
  }, []);
  const back = useCallback(() => {
    if (depth === 0) go({ ...view, range: null });
    else {
      setDepth(depth - 1);
      history.back();
    }
  }, [depth, go, view]);
  return { go, back };
}

function Notices({ session, failure, reading }: { session: SessionDetail; failure: Failure | null; reading: number }) {
  const where = [{ name: "aligned rows", bad_lines: session.bad_lines }, ...session.streams];
  const bad = where.flatMap(({ name, bad_lines: lines }) => (lines ? [{ name, lines }] : []));
  const total = bad.reduce((sum, { lines }) => sum + lines, 0);
  return (
    <>
      {failure && <Disconnected failure={failure} />}
      {reading < 1 && <Notice>Reading the recording for the first time: {Math.floor(reading * 100)} %. The figures are of what has been read.</Notice>}
      {session.why && <Notice tone="bad">{session.why}</Notice>}
      {total > 0 && (
        <Notice tone="warn">
          {total === 1 ? "One line of this recording cannot be read" : `${count(total)} lines of this recording cannot be read`}
          {` (${bad.map(({ name, lines }) => `${name}: ${count(lines)}`).join(", ")})`}. What was in them is left out; all the rest is here.{" "}
          <code className="font-mono text-label break-all">benchctl verify {session.id}</code> says where they are.
        </Notice>
      )}
      {session.provisional && !session.open && (
        <Notice>
          The last rows are provisional: muxd has not finished this session.{" "}
          <code className="font-mono text-label break-all">muxd --session {session.id} --once</code> does.
        </Notice>
      )}
      {session.sim_of && session.sim_of.length > 0 && <Notice>Made up by simulators in this session: {session.sim_of.join(", ")}.</Notice>}
    </>
  );
}

function NoFrames({ session }: { session: SessionDetail }) {
  return (
    <EmptyState title="No paired frames in this session" action={<Command>{`muxd --session ${session.id} --pair ingress encoded`}</Command>}>
      {session.open
        ? "Frames show here as soon as muxd has paired the first. What it needs is a collector of stages, and the pair's names:"
        : "It was recorded without stages, or never given to muxd. If there are stages in it, this pairs them:"}
    </EmptyState>
  );
}

/** The page's own layout, empty, so that nothing jumps when the data come. */
function Loading() {
  return (
    <div role="status" aria-label="Loading the session" className="flex flex-col gap-4">
      <Skeleton className="h-16" />
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4 xl:grid-cols-8">
        {Array.from({ length: 8 }, (_, index) => <Skeleton key={index} className="h-20" />)}
      </div>
      <div className="grid grid-cols-1 gap-4 xl:grid-cols-3">
        <Skeleton className="h-[26rem] xl:col-span-2" />
        <Skeleton className="h-[26rem]" />
      </div>
    </div>
  );
}
