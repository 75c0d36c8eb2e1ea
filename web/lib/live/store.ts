"use client";

/** The live page's state: the model beneath, what is shown of it, and the viewer's choices. */

import { create } from "zustand";
import { type Hello, type Pair, request, type SessionDetail, type State } from "../api";
import { isThresholds, load, save, type Thresholds } from "../prefs";
import { Connection, type Status } from "./connection";
import * as m from "./model";
import { type Figures, figuresOf, type Range, type View, viewOf } from "./view";

export const WINDOWS_MS = [30_000, 60_000, 300_000, 900_000] as const;
export type WindowMs = (typeof WINDOWS_MS)[number];

const isWindow = (value: unknown): value is WindowMs => WINDOWS_MS.includes(value as WindowMs);
const SERVER_THRESHOLDS: Thresholds = [10, 20];
/** Beyond this much lag the window stays at the newest data and does not run on into nothing. */
const RUNNING_LAG_MS = 15_000;
/** The line has been gone this long before the page says so: a restart of webd is not worth a flash. */
const GRACE_MS = 1_500;

export interface Announcement {
  text: string;
  /** Rises, so that the same words are said again. */
  turn: number;
}

interface LiveState {
  status: Status;
  /** When the line broke, by the page's own steady clock; null while it holds. */
  lost_at: number | null;
  hello: Hello | null;
  state: State | null;
  ended: string | null;
  pair: Pair | null;
  window_ms: WindowMs;
  zoom: Range | null;
  paused: boolean;
  resetWhilePaused: boolean;
  waiting: number;
  thresholds: Thresholds;
  ownThresholds: boolean;
  cursor: number | null;
  view: View | null;
  figures: Figures | null;
  announcement: Announcement;
}

export const useLive = create<LiveState>()(() => ({
  status: { kind: "connecting" },
  lost_at: null,
  hello: null,
  state: null,
  ended: null,
  pair: null,
  window_ms: 60_000,
  zoom: null,
  paused: false,
  resetWhilePaused: false,
  waiting: 0,
  thresholds: SERVER_THRESHOLDS,
  ownThresholds: false,
  cursor: null,
  view: null,
  figures: null,
  announcement: { text: "", turn: 0 },
}));

const { getState: get, setState: set } = useLive;

let model = m.emptyModel();
let connection: Connection | null = null;
let drawn = -1;
let drawnAt = 0;
let figuresAt = 0;
let figuresOfRevision = -1;
let serverNow: { now_ms: number; at: number } | null = null;
let stale = true;
let loop = 0;

function announce(text: string): void {
  set(({ announcement }) => ({ announcement: { text, turn: announcement.turn + 1 } }));
}

/** Return the server's time, carried on by the page's steady clock: the viewer's own clock may be wrong. */
export function serverTime(): number | null {
  return serverNow && serverNow.now_ms + (performance.now() - serverNow.at);
}

function newest(): number | null {
  const times = model.frames.column("t");
  return times.length ? times[times.length - 1]! : null;
}

/** Return the right edge of the window: the server's now while data is coming, the newest data otherwise. */
export function edge(): number | null {
  if (model.frozen) return model.frozen.edge_ms;
  const last = newest();
  const now = serverTime();
  const flowing = get().status.kind === "open" && model.ended === null;
  if (last === null) return now;
  return flowing && now !== null && now - last < RUNNING_LAG_MS ? Math.max(now, last) : last;
}

function range(): Range | null {
  const { zoom, window_ms } = get();
  if (zoom) return zoom;
  const to = edge();
  return to === null ? null : { from: to - window_ms, to };
}

/** Time between two drawings: as long as a pixel of the window lasts, within what the eye and the budget allow. */
function pace(): number {
  return Math.min(100, Math.max(33, get().window_ms / 1_200));
}

function draw(now: number): void {
  const shown = range();
  if (!shown) {
    if (get().view) set({ view: null, figures: null });
    return;
  }
  const view = viewOf(model, shown);
  const due = stale || (now - figuresAt >= (view.t.length > 20_000 ? 500 : 250) && (figuresOfRevision !== model.revision || !get().paused));
  if (due) {
    figuresAt = now;
    figuresOfRevision = model.revision;
  }
  set({
    view,
    waiting: m.waiting(model),
    resetWhilePaused: model.frozen?.reset ?? false,
    ...(due ? { figures: figuresOf(view) } : {}),
  });
  drawn = model.revision;
  drawnAt = now;
  stale = false;
}

function tick(now: number): void {
  loop = requestAnimationFrame(tick);
  if (!stale && now - drawnAt < pace()) return;
  const moving = !get().zoom && !model.frozen && get().status.kind === "open" && model.ended === null;
  const waited = model.frozen !== null && m.waiting(model) !== get().waiting;
  if (stale || moving || waited || (drawn !== model.revision && !model.frozen)) draw(now);
}

function redraw(): void {
  stale = true;
}

function heard(event: m.StreamEvent): void {
  const session = model.session;
  m.apply(model, event);
  if (event.type === "hello") {
    serverNow = { now_ms: event.data.now_ms, at: performance.now() };
    if (session !== null && (event.data.reset || session !== event.data.session)) {
      if (!model.frozen) set({ zoom: null, cursor: null });
      announce(session === event.data.session ? "The session was rebuilt." : `Session ${event.data.session} has begun.`);
    }
    const own = load("thresholds", isThresholds);
    set({ hello: event.data, pair: model.pair, ended: null, thresholds: own ?? event.data.thresholds_ms, ownThresholds: own !== null });
  } else if (event.type === "state") {
    serverNow = { now_ms: event.data.now_ms, at: performance.now() };
    set({ state: event.data });
  } else if (event.type === "end") {
    set({ ended: event.data.reason });
    announce("The session has ended.");
  } else if (model.pair !== get().pair) {
    set({ pair: model.pair });
  }
}

/** While polling, what the stream's hello would have said comes from the session's own page. */
async function introduce(session: string): Promise<void> {
  const detail = await request<SessionDetail>(`/api/sessions/${encodeURIComponent(session)}`).catch(() => null);
  if (!detail || model.session !== session || get().status.kind !== "polling") return;
  const hello: Hello = {
    session,
    node: detail.node ?? "",
    open: detail.open,
    sim: detail.sim,
    sim_of: detail.sim_of,
    pairs: detail.pairs.map(({ pair }) => pair),
    default_pair: detail.pairs[0]?.pair ?? null,
    thresholds_ms: [...SERVER_THRESHOLDS],
    now_ms: newest() ?? 0,
    version: detail.version ?? "",
    clock: detail.clock,
  };
  model.hello = hello;
  set({ hello });
}

function statusChanged(status: Status): void {
  const before = get().status.kind;
  const gone = status.kind === "offline" || status.kind === "waiting";
  set({ status, lost_at: gone ? (get().lost_at ?? performance.now()) : status.kind === "connecting" ? get().lost_at : null });
  if (status.kind === before) return;
  if (status.kind === "offline" && before !== "connecting") announce("Disconnected from the server.");
  if (before === "offline" && !gone) announce("Connected again.");
  if (status.kind === "polling") {
    set({ state: null });
    announce("The stream is blocked; the page asks once a second.");
  }
  redraw();
}

function connect(): void {
  connection?.stop();
  connection = new Connection(
    {
      status: statusChanged,
      event: heard,
      polled: (live) => {
        const pair = model.pair ?? (["", ""] as Pair);
        const known = model.hello?.session;
        m.applyLive(model, live, pair);
        if (live.session && live.session !== known) void introduce(live.session);
      },
    },
    model.pair,
  );
  void connection.run();
}

/** Begin: take up the viewer's choices, connect, draw. Return what ends it. */
export function start(): () => void {
  const own = load("thresholds", isThresholds);
  set({
    window_ms: load("window_ms", isWindow) ?? 60_000,
    ...(own ? { thresholds: own, ownThresholds: true } : {}),
  });
  connect();
  loop = requestAnimationFrame(tick);
  return () => {
    cancelAnimationFrame(loop);
    connection?.stop();
    connection = null;
    model = m.emptyModel(model.pair);
    serverNow = null;
    stale = true;
    set({ view: null, figures: null, hello: null, state: null, zoom: null, paused: false, waiting: 0, cursor: null, status: { kind: "connecting" }, lost_at: null });
  };
}

export function retryNow(): void {
  connection?.retry();
}

export function chooseWindow(window_ms: WindowMs): void {
  save("window_ms", window_ms);
  set({ window_ms, zoom: null });
  redraw();
}

export function choosePair(pair: Pair): void {
  m.choosePair(model, pair);
  set({ pair, paused: false, waiting: 0, zoom: null, cursor: null });
  connect();
  redraw();
}

export function togglePause(): void {
  if (model.frozen) {
    m.resume(model);
    announce("Live again.");
  } else {
    const at = edge();
    if (at === null) return;
    m.pause(model, at);
    announce("Paused. New frames are kept.");
  }
  set({ paused: model.frozen !== null, waiting: 0, resetWhilePaused: false });
  redraw();
}

/** Show a part of the time; null goes back to the window. */
export function zoomTo(zoom: Range | null): void {
  set({ zoom: zoom && zoom.to - zoom.from >= 1 ? zoom : null });
  redraw();
}

/** Zoom by a factor about the cursor, or the middle: below 1 is closer. */
export function zoomBy(factor: number): void {
  const shown = range();
  if (!shown) return;
  const length = shown.to - shown.from;
  const middle = get().cursor ?? (shown.from + shown.to) / 2;
  const next = Math.max(20, length * factor);
  if (next >= get().window_ms) return zoomTo(null);
  const from = middle - ((middle - shown.from) / length) * next;
  zoomTo({ from, to: from + next });
}

export function setCursor(cursor: number | null): void {
  if (get().cursor !== cursor) set({ cursor });
}

/** The viewer's own thresholds; null goes back to the server's. */
export function setThresholds(own: Thresholds | null): void {
  save("thresholds", own);
  set({ thresholds: own ?? get().hello?.thresholds_ms ?? SERVER_THRESHOLDS, ownThresholds: own !== null });
}

/** Tell whether the line has been gone long enough to say so. */
export function longLost(lost_at: number | null): boolean {
  return lost_at !== null && performance.now() - lost_at > GRACE_MS;
}
