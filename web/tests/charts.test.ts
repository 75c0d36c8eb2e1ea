import { describe, expect, it } from "vitest";
import { logLabel, logSplits, roundSplits, stepLabel, timeLabel, timeSplits } from "@/components/charts/ticks";
import { fillColumns, fillPoints, pixelColumns } from "@/lib/columns";
import { extent, roomFor, steady } from "@/lib/scale";

const of = (...values: number[]) => Float64Array.from(values);

describe("columns of pixels", () => {
  it("keep the extremes: a spike of one frame among thousands is still there", () => {
    const times = Float64Array.from({ length: 54_000 }, (_, i) => i * 16.667);
    const values = times.map((_, i) => (i === 31_415 ? 99 : 10));
    const out = pixelColumns(4096);
    fillColumns(out, times, values, 900_000 / 900, 250);
    expect(out.n).toBeLessThanOrEqual(901);
    expect(Math.max(...out.high.subarray(0, out.n))).toBe(99);
    expect(Math.min(...out.low.subarray(0, out.n))).toBe(10);
  });
  it("stand still while the window moves: the same rows fall into the same column", () => {
    const times = Float64Array.from({ length: 1000 }, (_, i) => i);
    const values = times.map((t) => (t * 7919) % 101);
    const whole = pixelColumns(256);
    const part = pixelColumns(256);
    fillColumns(whole, times, values, 10, 100);
    fillColumns(part, times.subarray(333), values.subarray(333), 10, 100);
    // the first column of the part is cut by the window's edge
    expect([...part.mean.subarray(1, part.n)]).toEqual([...whole.mean.subarray(whole.n - part.n + 1, whole.n)]);
  });
  it("are cut at a gap and at an absent value, and nowhere else", () => {
    const out = pixelColumns(16);
    fillColumns(out, of(0, 10, 20, 500, 510, 520), of(1, 1, 1, 2, NaN, 2), 10, 250);
    expect([...out.x.subarray(0, out.n)]).toEqual([5, 15, 25, 505, 525]);
    expect([...out.cut.subarray(0, out.n)]).toEqual([1, 0, 0, 1, 1]);
    fillPoints(out, of(0, 10, 500, 510, 520), of(1, 1, 2, NaN, 2), 250);
    expect([...out.cut.subarray(0, out.n)]).toEqual([1, 0, 1, 1]);
  });
  it("of nothing are none", () => {
    const out = pixelColumns(4);
    fillColumns(out, of(), of(), 10, 100);
    expect(out.n).toBe(0);
    fillColumns(out, of(1), of(NaN), 10, 100);
    expect(out.n).toBe(0);
  });
  it("never outgrow their room", () => {
    const out = pixelColumns(3);
    fillColumns(out, of(0, 10, 20, 30, 40), of(1, 2, 3, 4, 5), 10, 100);
    expect([...out.mean]).toEqual([1, 2, 3]);
  });
});

describe("an axis", () => {
  it("stays while the data fits and fills half of it", () => {
    const first = steady(null, [10, 20]);
    expect(steady(first, [11, 19])).toBe(first);
    expect(steady(first, [10, 30])).not.toBe(first);
    expect(steady(first, [14, 16])).not.toBe(first);
  });
  it("has a height for data without one", () => {
    for (const value of [0, 5, -5]) {
      const [low, high] = steady(null, [value, value]);
      expect(low).toBeLessThan(value);
      expect(high).toBeGreaterThan(value);
    }
  });
  it("leaves room, and none below zero where there is a floor", () => {
    expect(roomFor([10, 20], { below: 0.5, above: 1, floor: null })).toEqual([5, 30]);
    expect(roomFor([1, 20], { below: 0.5, above: 0 })).toEqual([0, 20]);
  });
  it("of absent values has no extent", () => {
    expect(extent(of(NaN, NaN))).toBeNull();
    expect(extent(of(NaN, 2, -1))).toEqual([-1, 2]);
  });
});

describe("ticks", () => {
  it("are round and lie inside", () => {
    expect(roundSplits([8.3, 21], 200)).toEqual([10, 12.5, 15, 17.5, 20]);
    expect(roundSplits([-1, 1], 100).some((value) => Object.is(value, -0))).toBe(false);
  });
  it("have as many decimals as their step", () => {
    expect([stepLabel(10, 2.5), stepLabel(10, 5), stepLabel(0.25, 0.05), stepLabel(12_000, 2000)]).toEqual(["10.0", "10", "0.25", "12,000"]);
  });
  it("of time are as fine as the zoom: seconds, then milliseconds", () => {
    const from = new Date(2026, 2, 1, 14, 3, 20).getTime();
    expect(timeSplits([from, from + 60_000], 900).map((at) => timeLabel(at, 10_000)).slice(0, 2)).toEqual(["14:03:20", "14:03:30"]);
    expect(timeLabel(from + 20, 20)).toBe("20.020");
    expect(timeSplits([from, from + 100], 900).length).toBeGreaterThan(4);
  });
});

describe("ticks of a logarithmic axis", () => {
  const labels = (low: number, high: number, room = 360) => logSplits([Math.log10(low), Math.log10(high)], room).map(logLabel);
  it("are 1, 2 and 5 of each power of ten", () => {
    expect(labels(3, 42)).toEqual(["5", "10", "20"]);
    expect(labels(0.08, 600)).toEqual(["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200", "500"]);
  });
  it("are powers of ten where there is little room, and round values within a narrow span", () => {
    expect(labels(0.001, 9000, 120)).toEqual(["0.001", "0.01", "0.1", "1", "10", "100", "1,000"]);
    expect(labels(10, 12)).toEqual(["10", "10.25", "10.5", "10.75", "11", "11.25", "11.5", "11.75", "12"]);
  });
});
