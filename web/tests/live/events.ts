import type { Frames, Hello, Pair, State } from "@/lib/api";
import type { StreamEvent } from "@/lib/live/model";

export const PAIR: Pair = ["ingress", "encoded"];
export const OTHER: Pair = ["ingress", "displayed"];

export function hello(part: Partial<Hello> = {}): StreamEvent {
  const data: Hello = {
    session: "dev",
    node: "bench",
    open: true,
    sim: false,
    pairs: [PAIR, OTHER],
    default_pair: PAIR,
    thresholds_ms: [10, 20],
    now_ms: 0,
    version: "1",
    clock: { synchronized: true, unc_ms: 0.5 },
    reset: false,
    ...part,
  };
  return { type: "hello", data };
}

/** Frames at offsets `at`, one every 10 ms, with latencies 10 + at / 1000. */
export function frames(at: number[], part: Partial<Frames> = {}): StreamEvent {
  const column = <T>(of: (at: number) => T) => at.map(of);
  const data: Frames = {
    pair: PAIR,
    at,
    t_ms: column((each) => 1000 + each / 10),
    lat_ms: column((each) => 10 + each / 1000),
    power_w: column(() => 200),
    energy_j: column(() => 2),
    frame: column((each) => each / 100),
    unc_ms: column(() => 0.5),
    why: column(() => null),
    sim: false,
    ...part,
  };
  return { type: "frames", data };
}

export function drops(at: number[], reason = "lost"): StreamEvent {
  return {
    type: "drops",
    data: { pair: PAIR, at, t_ms: at.map((each) => 1000 + each / 10), reason: at.map(() => reason), stage: at.map(() => "ingress"), frame: at.map(() => null) },
  };
}

export function state(part: Partial<State> = {}): State {
  return { now_ms: 0, newest_ms: null, lag_ms: null, muxd: "live", power_source: null, power_now_w: null, dropped: {}, dropped_since_ms: null, temp_c: null, ...part };
}
