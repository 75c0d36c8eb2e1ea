/**
 * What the live stream has told so far. `apply` takes one event after the other; it reads no clock and asks nobody,
 * so the same events always give the same model.
 */

import type { Drops, Frames, Hello, Live, LiveRow, Pair, State } from "../api";
import { Ring } from "../ring";

export type StreamEvent =
  | { type: "hello"; data: Hello }
  | { type: "frames"; data: Frames }
  | { type: "drops"; data: Drops }
  | { type: "rewind"; data: { at: number } }
  | { type: "state"; data: State }
  | { type: "end"; data: { reason: string } };

export const FRAME_COLUMNS = ["at", "t", "lat", "power", "energy", "frame", "unc", "why", "sim"] as const;
export const DROP_COLUMNS = ["at", "t", "frame", "reason", "stage"] as const;
export type FrameRing = Ring<(typeof FRAME_COLUMNS)[number]>;
export type DropRing = Ring<(typeof DROP_COLUMNS)[number]>;

/** 15 minutes, the longest window, and a little more, so that its left edge is never ragged. */
export const KEEP_MS = 15.5 * 60_000;
/** 15 minutes at 290 frames a second; 18 MB. */
const MOST_FRAMES = 262_144;
const MOST_DROPS = 65_536;

/** The page as it stood when it was paused; what arrives since is in the model beneath. */
export interface Frozen {
  frames: FrameRing;
  drops: DropRing;
  edge_ms: number;
  received: number;
  /** The stream began anew meanwhile, so the rows that wait are not a continuation of these. */
  reset: boolean;
  session: string | null;
  hello: Hello | null;
}

export interface Model {
  pair: Pair | null;
  hello: Hello | null;
  state: State | null;
  session: string | null;
  ended: string | null;
  frames: FrameRing;
  drops: DropRing;
  /** Reasons and stages, which the columns name by their place here; 0 is none. */
  words: string[];
  /** Highest offset taken, of frames and of drops: a row at or below it has been here before. */
  frame_at: number;
  drop_at: number;
  /** Frames taken less frames withdrawn. */
  received: number;
  frozen: Frozen | null;
  /** Rises with every change of rows. */
  revision: number;
}

/** Return a model that has heard nothing; `pair` null takes the session's default. */
export function emptyModel(pair: Pair | null = null): Model {
  return {
    pair,
    hello: null,
    state: null,
    session: null,
    ended: null,
    frames: new Ring(FRAME_COLUMNS, "t", MOST_FRAMES),
    drops: new Ring(DROP_COLUMNS, "t", MOST_DROPS, 256),
    words: [""],
    frame_at: -1,
    drop_at: -1,
    received: 0,
    frozen: null,
    revision: 0,
  };
}

export function samePair(a: Pair | null, b: Pair | null): boolean {
  return a !== null && b !== null && a[0] === b[0] && a[1] === b[1];
}

function word(model: Model, text: string | null | undefined): number {
  if (!text) return 0;
  const known = model.words.indexOf(text);
  return known >= 0 ? known : model.words.push(text) - 1;
}

/** Forget every row; what is frozen on the page stays there until it is let go. */
export function forget(model: Model): void {
  model.frames.clear();
  model.drops.clear();
  model.frame_at = -1;
  model.drop_at = -1;
  model.received = 0;
  model.state = null;
  model.revision += 1;
  if (model.frozen) {
    model.frozen.reset = true;
    model.frozen.received = 0;
  }
}

function greet(model: Model, hello: Hello): void {
  const moved = model.session !== null && model.session !== hello.session;
  if (hello.reset || moved) forget(model);
  model.session = hello.session;
  model.hello = hello;
  model.ended = null;
  // a pair that the next session does not have is given up for what that one has
  if (moved && !hello.pairs.some((pair) => samePair(pair, model.pair))) model.pair = null;
  model.pair ??= hello.default_pair;
}

/** The pair of the first rows is the pair of the page where nothing else has said it. */
function takes(model: Model, pair: Pair): boolean {
  model.pair ??= pair;
  return samePair(model.pair, pair);
}

function take(value: number | null | undefined): number {
  return value ?? NaN;
}

function addFrames(model: Model, rows: Frames): void {
  if (!takes(model, rows.pair)) return;
  for (let i = 0; i < rows.at.length; i++) {
    const at = rows.at[i]!;
    if (at <= model.frame_at) continue;
    model.frame_at = at;
    model.received += 1;
    model.frames.add({
      at,
      t: rows.t_ms[i]!,
      lat: take(rows.lat_ms[i]),
      power: take(rows.power_w[i]),
      energy: take(rows.energy_j[i]),
      frame: take(rows.frame[i]),
      unc: take(rows.unc_ms[i]),
      why: word(model, rows.why[i]),
      sim: rows.sim ? 1 : 0,
    });
  }
  trim(model);
}

function addDrops(model: Model, rows: Drops): void {
  if (!takes(model, rows.pair)) return;
  for (let i = 0; i < rows.at.length; i++) {
    const at = rows.at[i]!;
    if (at <= model.drop_at) continue;
    model.drop_at = at;
    model.drops.add({
      at,
      t: rows.t_ms[i]!,
      frame: take(rows.frame[i]),
      reason: word(model, rows.reason[i]),
      stage: word(model, rows.stage[i]),
    });
  }
  trim(model);
}

function trim(model: Model): void {
  const times = model.frames.column("t");
  const newest = times[times.length - 1];
  if (newest !== undefined) {
    model.frames.dropBelow(newest - KEEP_MS);
    model.drops.dropBelow(newest - KEEP_MS);
  }
  model.revision += 1;
}

function rewind(model: Model, at: number): void {
  model.received -= model.frames.removeFrom("at", at);
  model.drops.removeFrom("at", at);
  model.frame_at = Math.min(model.frame_at, at - 1);
  model.drop_at = Math.min(model.drop_at, at - 1);
  model.revision += 1;
}

/** Take one event of the stream. */
export function apply(model: Model, event: StreamEvent): void {
  switch (event.type) {
    case "hello":
      return greet(model, event.data);
    case "frames":
      return addFrames(model, event.data);
    case "drops":
      return addDrops(model, event.data);
    case "rewind":
      return rewind(model, event.data.at);
    case "state":
      model.state = event.data;
      return;
    case "end":
      model.ended = event.data.reason;
      return;
  }
}

/** Take an answer of /api/live, which has everything but the drops one by one. */
export function applyLive(model: Model, live: Live): void {
  if (live.hello) greet(model, live.hello);
  model.state = live.state;
  if (!live.pair) return;
  const column = <T>(of: (row: LiveRow) => T) => live.rows.map(of);
  addFrames(model, {
    pair: live.pair,
    at: column((row) => row.at),
    t_ms: column((row) => row.t_ms),
    lat_ms: column((row) => row.lat_ms),
    power_w: column((row) => row.power_w),
    energy_j: column((row) => row.energy_j),
    frame: column((row) => row.frame),
    unc_ms: column((row) => row.unc_ms),
    why: column((row) => row.why),
    sim: model.hello?.sim ?? false,
  });
}

/** Return the pairs there are to choose from: those of the greeting, and those that turned up since. */
export function pairsOf(hello: Hello | null, state: State | null): Pair[] {
  const known = [...(hello?.pairs ?? [])];
  for (const name of Object.keys(state?.dropped ?? {})) {
    const stages = name.split(",");
    // a stage with a comma cannot be told apart here; the next greeting names it
    if (stages.length !== 2) continue;
    const pair: Pair = [stages[0]!, stages[1]!];
    if (!known.some((each) => samePair(each, pair))) known.push(pair);
  }
  return known;
}

/** Show another pair: its rows come with the next stream. */
export function choosePair(model: Model, pair: Pair): void {
  if (samePair(model.pair, pair)) return;
  forget(model);
  model.pair = pair;
  model.frozen = null;
}

/** Hold the page at `edge_ms`; the stream goes on beneath. */
export function pause(model: Model, edge_ms: number): void {
  model.frozen ??= {
    frames: model.frames.copy(),
    drops: model.drops.copy(),
    edge_ms,
    received: model.received,
    reset: false,
    session: model.session,
    hello: model.hello,
  };
}

/** Let the page go on with everything that has waited. */
export function resume(model: Model): void {
  model.frozen = null;
  model.revision += 1;
}

/** Return how many frames wait behind the pause. */
export function waiting(model: Model): number {
  return model.frozen ? Math.max(0, model.received - model.frozen.received) : 0;
}
