import { describe, expect, it } from "vitest";
import type { Live } from "@/lib/api";
import * as m from "@/lib/live/model";
import { OTHER, PAIR, drops, frames, hello, state } from "./events";

function model(...events: m.StreamEvent[]): m.Model {
  const made = m.emptyModel();
  events.forEach((event) => m.apply(made, event));
  return made;
}

const offsets = (made: m.Model) => [...made.frames.column("at")];
const shown = (made: m.Model) => [...(made.frozen ?? made).frames.column("at")];

describe("rows", () => {
  it("that come twice are taken once, as after a reconnect", () => {
    const made = model(hello({ reset: true }), frames([100, 200, 300]), hello(), frames([200, 300, 400]), drops([250]), drops([250, 450]));
    expect(offsets(made)).toEqual([100, 200, 300, 400]);
    expect([...made.drops.column("at")]).toEqual([250, 450]);
    expect(made.received).toBe(4);
  });
  it("of another pair are not mixed in", () => {
    const made = model(hello(), frames([100]), frames([150, 170], { pair: OTHER }), frames([200]));
    expect(offsets(made)).toEqual([100, 200]);
  });
  it("of the first pair seen are shown where nothing was said of a default", () => {
    const made = model(hello({ pairs: [], default_pair: null }), frames([100], { pair: OTHER }), frames([200]));
    expect(made.pair).toEqual(OTHER);
    expect(offsets(made)).toEqual([100]);
  });
  it("keep absent apart from zero, with the reason", () => {
    const made = model(frames([100, 200], { power_w: [null, 0], why: ["gap", null] }));
    expect([...made.frames.column("power")]).toEqual([NaN, 0]);
    expect([...made.frames.column("why")].map((i) => made.words[i])).toEqual(["gap", ""]);
  });
  it("that complete out of order stand in order of time", () => {
    const made = model(frames([100, 200, 300], { t_ms: [10, 30, 20] }));
    expect([...made.frames.column("t")]).toEqual([10, 20, 30]);
    expect(offsets(made)).toEqual([100, 300, 200]);
  });
  it("older than the longest window are given up", () => {
    const made = model(frames([100, 200], { t_ms: [0, m.KEEP_MS + 1] }));
    expect(offsets(made)).toEqual([200]);
  });
});

describe("rewind", () => {
  it("in the middle withdraws what is provisional, and it comes again as it is now", () => {
    const made = model(hello(), frames([100, 200, 300, 400]), drops([350]), { type: "rewind", data: { at: 300 } }, frames([300, 410], { lat_ms: [77, 78] }), drops([360]));
    expect(offsets(made)).toEqual([100, 200, 300, 410]);
    expect([...made.frames.column("lat")].slice(2)).toEqual([77, 78]);
    expect([...made.drops.column("at")]).toEqual([360]);
    expect(made.received).toBe(4);
  });
  it("to before everything empties the page and lets the rows come again", () => {
    const made = model(frames([100, 200]), { type: "rewind", data: { at: 0 } }, frames([100]));
    expect(offsets(made)).toEqual([100]);
  });
  it("beyond the end changes nothing", () => {
    const made = model(frames([100]), { type: "rewind", data: { at: 5000 } }, frames([100, 200]));
    expect(offsets(made)).toEqual([100, 200]);
  });
  it("withdraws rows that stand before older ones in time", () => {
    const made = model(frames([100, 200, 300], { t_ms: [10, 30, 20] }), { type: "rewind", data: { at: 300 } });
    expect(offsets(made)).toEqual([100, 200]);
  });
});

describe("hello", () => {
  it("with reset forgets everything, and offsets begin anew", () => {
    const made = model(hello(), frames([100, 200]), drops([150]), hello({ reset: true }), frames([50]));
    expect(offsets(made)).toEqual([50]);
    expect(made.drops.size).toBe(0);
    expect(made.received).toBe(1);
  });
  it("of another session forgets the one before even without reset", () => {
    const made = model(hello(), frames([100]), hello({ session: "next" }), frames([10]));
    expect(made.session).toBe("next");
    expect(offsets(made)).toEqual([10]);
  });
  it("without reset goes on where it was, as after a restart of webd", () => {
    expect(offsets(model(hello(), frames([100]), hello(), frames([200])))).toEqual([100, 200]);
  });
  it("of a session without the viewer's pair shows what that session has", () => {
    const made = m.emptyModel(OTHER);
    m.apply(made, hello());
    expect(made.pair).toEqual(OTHER);
    m.apply(made, hello({ session: "next", pairs: [PAIR], default_pair: PAIR }));
    expect(made.pair).toEqual(PAIR);
  });
  it("takes back that the session has ended", () => {
    const made = model(hello(), { type: "end", data: { reason: "closed" } });
    expect(made.ended).toBe("closed");
    m.apply(made, hello({ session: "next" }));
    expect(made.ended).toBeNull();
  });
});

describe("pause", () => {
  it("holds the page while frames go on arriving, and resume shows all of them", () => {
    const made = model(hello(), frames([100, 200]));
    m.pause(made, 1020);
    m.apply(made, frames([300, 400]));
    expect(shown(made)).toEqual([100, 200]);
    expect(m.waiting(made)).toBe(2);
    m.resume(made);
    expect(shown(made)).toEqual([100, 200, 300, 400]);
    expect(m.waiting(made)).toBe(0);
  });
  it("twice keeps the first page", () => {
    const made = model(frames([100]));
    m.pause(made, 1010);
    m.apply(made, frames([200]));
    m.pause(made, 1020);
    expect(shown(made)).toEqual([100]);
    expect(made.frozen?.edge_ms).toBe(1010);
  });
  it("counts no frame twice that is withdrawn and comes again", () => {
    const made = model(frames([100, 200, 300]));
    m.pause(made, 1030);
    m.apply(made, { type: "rewind", data: { at: 200 } });
    expect(m.waiting(made)).toBe(0);
    m.apply(made, frames([200, 300, 400]));
    expect(m.waiting(made)).toBe(1);
    expect(shown(made)).toEqual([100, 200, 300]);
  });
  it("outlives a reset: the page stays, and says that what waits is not its continuation", () => {
    const made = model(hello(), frames([100, 200]));
    m.pause(made, 1020);
    m.apply(made, hello({ reset: true }));
    m.apply(made, frames([50]));
    expect(shown(made)).toEqual([100, 200]);
    expect(made.frozen?.reset).toBe(true);
    expect(m.waiting(made)).toBe(1);
    m.resume(made);
    expect(shown(made)).toEqual([50]);
  });
  it("longer than the longest window loses nothing of the page", () => {
    const made = model(frames([100]));
    m.pause(made, 1010);
    m.apply(made, frames([200], { t_ms: [1010 + 2 * m.KEEP_MS] }));
    expect(shown(made)).toEqual([100]);
    expect(offsets(made)).toEqual([200]);
  });
});

describe("another pair", () => {
  it("begins empty, even from a paused page", () => {
    const made = model(hello(), frames([100]));
    m.pause(made, 1010);
    m.choosePair(made, OTHER);
    expect(made.frozen).toBeNull();
    expect(made.frames.size).toBe(0);
    m.apply(made, frames([100], { pair: OTHER }));
    expect(offsets(made)).toEqual([100]);
  });
  it("that turns up later can be chosen", () => {
    const event = hello({ pairs: [PAIR] });
    const said = event.type === "hello" ? event.data : null;
    expect(m.pairsOf(said, state({ dropped: { "ingress,encoded": 0, "ingress,displayed": 2, "a,b,c": 1 } }))).toEqual([PAIR, OTHER]);
    expect(m.pairsOf(null, null)).toEqual([]);
  });
});

describe("polling", () => {
  const answer = (at: number[], part: Partial<Live> = {}): Live => ({
    rows: at.map((each) => ({ t: 0, t_ms: 1000 + each / 10, at: each, lat_ms: 10, power_w: 200, energy_j: 2, frame: 1, unc_ms: 0.5, why: null })),
    cursor: "c",
    session: "dev",
    pair: PAIR,
    reset: false,
    state: state(),
    ...part,
  });
  it("beside the stream takes no row twice", () => {
    const made = model(hello(), frames([100, 200]));
    m.applyLive(made, answer([200, 300]));
    m.apply(made, frames([300, 400]));
    expect(offsets(made)).toEqual([100, 200, 300, 400]);
  });
  it("clears first where what the page has is void", () => {
    const made = model(hello(), frames([100, 200]));
    const event = hello({ reset: true });
    m.applyLive(made, answer([10], { reset: true, hello: event.type === "hello" ? event.data : undefined }));
    expect(offsets(made)).toEqual([10]);
  });
  it("of no session yet is no fault", () => {
    const made = m.emptyModel();
    const event = hello({ session: null, pairs: [], default_pair: null, reset: true });
    m.applyLive(made, answer([], { pair: null, session: null, reset: true, hello: event.type === "hello" ? event.data : undefined }));
    expect(made.session).toBeNull();
    expect(made.hello).not.toBeNull();
  });
});
