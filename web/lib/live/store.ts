"use client";

/** The live page's state: the model beneath, what is shown of it, and the viewer's choices. */

import { create } from "zustand";
import type { Hello, Live, Pair, State } from "../api";
import { isThresholds, load, save, type Thresholds } from "../prefs";
import { Connection, type Status } from "./connection";
import * as m from "./model";
import { type Figures, figuresOf, type Newest, newestOf, type Range, type View, viewOf } from "./view";

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
  /** The range held still while the pointer marks out a part of it. */
  held: Range | null;
  cursor: number | null;
  view: View | null;
  /** Of the view; while the page runs it is there with its batch, before anything is drawn or worked out. */
  newest: Newest | null;
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
  held: null,
  cursor: null,
  view: null,
  newest: null,
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

function connected(): boolean {
  const { kind } = get().status;
  return kind === "open" || kind === "polling";
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
  const flowing = connected() && model.ended === null;
  if (last === null) return now;
  return flowing && now !== null && now - last < RUNNING_LAG_MS ? Math.max(now, last) : last;
}

function range(): Range | null {
  const { zoom, held, window_ms } = get();
  if (zoom ?? held) return zoom ?? held;
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
    if (get().view) set({ view: null, newest: null, figures: null });
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
    newest: newestOf(view.lat, view.power),
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
  const moving = !get().zoom && !model.frozen && connected() && model.ended === null;
  const waited = model.frozen !== null && m.waiting(model) !== get().waiting;
  if (stale || moving || waited || (drawn !== model.revision && !model.frozen)) draw(now);
}

function redraw(): void {
  stale = true;
}

/** Show what has just come as the current values, if the page runs: the figures of the window take longer. */
function showNewest(): void {
  const { view, zoom, held } = get();
  if (!view || zoom || held || model.frozen) return;
  set({ newest: newestOf(model.frames.column("lat"), model.frames.column("power")) });
}

function greeted(hello: Hello, before: string | null): void {
  serverNow = { now_ms: hello.now_ms, at: performance.now() };
  const moved = before !== null && before !== hello.session;
  if (moved) {
    if (!model.frozen) set({ zoom: null, cursor: null });
    announce(hello.session ? `Session ${hello.session} has begun.` : "The session is gone.");
  }
  const own = load("thresholds", isThresholds);
  set({ hello, pair: model.pair, ended: null, thresholds: own ?? hello.thresholds_ms, ownThresholds: own !== null });
  // the line brings one pair only; if the page shows another by now, or any, it needs another line
  if (connection?.pair && !m.samePair(connection.pair, model.pair)) connect();
}

function told(state: State): void {
  serverNow = { now_ms: state.now_ms, at: performance.now() };
  set({ state });
}

function heard(event: m.StreamEvent): void {
  const session = model.session;
  m.apply(model, event);
  if (event.type === "hello") greeted(event.data, session);
  else if (event.type === "state") told(event.data);
  else if (event.type === "end") {
    set({ ended: event.data.reason });
    announce("The session has ended.");
  } else if (event.type === "frames") showNewest();
  if (model.pair !== get().pair) set({ pair: model.pair });
}

function polled(live: Live): void {
  const session = model.session;
  m.applyLive(model, live);
  if (live.hello) greeted(live.hello, session);
  told(live.state);
  showNewest();
  if (model.pair !== get().pair) set({ pair: model.pair });
}

function statusChanged(status: Status): void {
  const before = get().status.kind;
  const gone = status.kind === "offline";
  set({ status, lost_at: gone ? (get().lost_at ?? performance.now()) : status.kind === "connecting" ? get().lost_at : null });
  if (status.kind === before) return;
  if (status.kind === "offline" && before !== "connecting") announce("Disconnected from the server.");
  if (before === "offline" && !gone) announce("Connected again.");
  if (status.kind === "polling") announce("The stream is blocked; the page asks once a second.");
  redraw();
}

function connect(): void {
  connection?.stop();
  connection = new Connection({ status: statusChanged, event: heard, polled }, model.pair);
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
    set({ view: null, newest: null, figures: null, hello: null, state: null, zoom: null, paused: false, waiting: 0, cursor: null, status: { kind: "connecting" }, lost_at: null });
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

/** Hold the shown range while the pointer is on it. */
export function hold(held: boolean): void {
  set({ held: held ? range() : null });
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

/** Return how long the line has been gone once that is worth saying; null while it holds, or is gone but a moment. */
export function lostFor(): number | null {
  const { lost_at } = get();
  const gone = lost_at === null ? 0 : performance.now() - lost_at;
  return gone > GRACE_MS ? gone : null;
}
