import { describe, expect, it } from "vitest";
import type { Latency } from "@/lib/api";
import { broken, latencyLines, signalLines } from "@/lib/history/series";

const answer = (extra: object) => ({ gaps: [], ...extra }) as unknown as Latency;
const cuts = (x: number[], gaps: [number, number][]) => broken(x, gaps).filter(({ row }) => row === null).map((place) => place.x);

describe("lines of a chart", () => {
  it("breaks at every gap between rows, and nowhere else", () => {
    expect(cuts([0, 10, 50, 60], [[10, 50], [60, 100], [-20, 0]])).toEqual([30]);
  });

  it("keeps gaps apart that come in any order", () => {
    expect(broken([0, 10, 20], [[10, 20], [0, 10]]).map(({ x, row }) => [x, row])).toEqual([[0, 0], [5, null], [10, 1], [15, null], [20, 2]]);
  });

  it("has NaN, never 0, where a value is absent and where it is cut", () => {
    const { x, lines } = latencyLines(
      answer({ resolution: "frames", columns: { t_ms: [0, 10], lat_ms: [10, 11], power_w: [null, 5] }, gaps: [[0, 10]] }),
    );
    expect([...x]).toEqual([0, 5, 10]);
    expect(lines.map(({ label, y }) => [label, ...y])).toEqual([["Latency", 10, NaN, 11], ["Power", NaN, NaN, 5]]);
  });

  it("has a band where webd sent buckets, and none where it sent frames", () => {
    const columns = { t_ms: [1], lat_min_ms: [8], lat_mean_ms: [9], lat_max_ms: [12], power_min_w: [1], power_mean_w: [2], power_max_w: [3] };
    const { lines } = latencyLines(answer({ resolution: "buckets", columns }));
    expect(lines.map(({ y, low, high }) => [...low!, ...y, ...high!])).toEqual([[8, 9, 12], [1, 2, 3]]);
    const frames = latencyLines(answer({ resolution: "frames", columns: { t_ms: [1], lat_ms: [10], power_w: [2] } }));
    expect(frames.lines.map(({ low }) => low)).toEqual([undefined, undefined]);
  });

  it("has no axis of power where nothing measured it", () => {
    const { lines } = latencyLines(answer({ resolution: "frames", columns: { t_ms: [1], lat_ms: [10], power_w: [null] } }));
    expect(lines.map(({ label }) => label)).toEqual(["Latency"]);
  });

  it("is empty for a window without a row", () => {
    const { x, lines } = latencyLines(answer({ resolution: "frames", columns: { t_ms: [], lat_ms: [], power_w: [] }, gaps: [[0, 10]] }));
    expect([x.length, lines[0]?.y.length]).toEqual([0, 0]);
  });

  it("shows a signal by its values, or by its means with a band", () => {
    const name = { source: "s", dev: null, key: "k", unit: "W" };
    const samples = signalLines({ ...name, resolution: "samples", columns: { t_ms: [1], value: [2] } });
    expect(samples.lines.map(({ y, low }) => [[...y], low])).toEqual([[[2], undefined]]);
    const columns = { t_ms: [1], n: [9], min: [1], mean: [2], max: [4] };
    const buckets = signalLines({ ...name, resolution: "buckets", columns });
    expect(buckets.lines.map(({ y, low, high }) => [...low!, ...y, ...high!])).toEqual([[1, 2, 4]]);
  });
});
