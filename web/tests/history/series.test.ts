import { describe, expect, it } from "vitest";
import type { Latency } from "@/lib/api";
import { broken, latencyLines, signalLines } from "@/lib/history/series";

const answer = (extra: object) => ({ gaps: [], ...extra }) as unknown as Latency;

describe("lines of a chart", () => {
  it("breaks at every gap between points, and nowhere else", () => {
    const lines = broken({ x: [0, 10, 50, 60], y: [1, 2, 3, 4] }, [[10, 50], [60, 100], [-20, 0]]);
    expect(lines).toEqual({ x: [0, 10, 30, 50, 60], y: [1, 2, null, 3, 4] });
  });

  it("keeps gaps apart that come in any order", () => {
    const lines = broken({ x: [0, 10, 20], y: [1, 2, 3] }, [[10, 20], [0, 10]]);
    expect(lines).toEqual({ x: [0, 5, 10, 15, 20], y: [1, null, 2, null, 3] });
  });

  it("has a band where webd sent buckets, and none where it sent frames", () => {
    const frames = latencyLines(answer({ resolution: "frames", columns: { t_ms: [1], lat_ms: [10], power_w: [null] } }));
    expect(frames).toEqual({ x: [1], latency: [10], power: [null] });
    const columns = { t_ms: [1], lat_min_ms: [8], lat_mean_ms: [9], lat_max_ms: [12], power_min_w: [1], power_mean_w: [2], power_max_w: [3] };
    const buckets = latencyLines(answer({ resolution: "buckets", columns }));
    expect([buckets.latencyLow, buckets.latency, buckets.latencyHigh]).toEqual([[8], [9], [12]]);
    expect([buckets.powerLow, buckets.power, buckets.powerHigh]).toEqual([[1], [2], [3]]);
  });

  it("is empty for a window without a point", () => {
    expect(latencyLines(answer({ resolution: "frames", columns: { t_ms: [], lat_ms: [], power_w: [] }, gaps: [[0, 10]] }))).toEqual({ x: [], latency: [], power: [] });
  });

  it("shows a signal by its values, or by its means with a band", () => {
    const name = { source: "s", dev: null, key: "k", unit: "W" };
    expect(signalLines({ ...name, resolution: "samples", columns: { t_ms: [1], value: [2] } })).toEqual({ x: [1], value: [2] });
    const columns = { t_ms: [1], n: [9], min: [1], mean: [2], max: [4] };
    expect(signalLines({ ...name, resolution: "buckets", columns })).toEqual({ x: [1], value: [2], valueLow: [1], valueHigh: [4] });
  });
});
