import { describe, expect, it } from "vitest";
import * as stats from "@/lib/stats";

const of = (...values: number[]) => Float64Array.from(values);

describe("percentile, type 7, as NumPy, pandas and DuckDB's quantile_cont give it", () => {
  it("interpolates between order statistics", () => {
    const values = of(15, 20, 35, 40, 50);
    expect([0, 25, 40, 50, 75, 100].map((p) => stats.percentile(values, p))).toEqual([15, 20, 29, 35, 40, 50]);
    expect(stats.percentile(values, 95)).toBeCloseTo(48, 12);
    expect(stats.percentile(of(1, 2, 3, 4), 99)).toBeCloseTo(3.97, 12);
  });
  it("of one value is that value, of none is absent and not zero", () => {
    expect(stats.percentile(of(7), 99)).toBe(7);
    expect(stats.percentile(of(), 50)).toBeNaN();
    expect(stats.summary(of())).toBeNull();
  });
  it("refuses what is no percentile", () => {
    expect(() => stats.percentile(of(1), 101)).toThrow(RangeError);
    expect(() => stats.percentile(of(1), NaN)).toThrow(RangeError);
  });
});

describe("absent values", () => {
  it("are left out of the order, the mean and the count", () => {
    const values = of(3, NaN, 1, NaN, 2);
    expect([...stats.sorted(values)]).toEqual([1, 2, 3]);
    expect(stats.mean(values)).toBe(2);
    expect(stats.countOf(values)).toBe(3);
    expect(stats.mean(of(NaN))).toBeNaN();
  });
  it("merge to what sorting all of them gives", () => {
    const parts = [of(3, 1, 2), of(), of(5, NaN, 2), of(0), of(9, 4)].map(stats.sorted);
    expect([...stats.merged(parts)]).toEqual([0, 1, 2, 2, 3, 4, 5, 9]);
    expect([...stats.merged([])]).toEqual([]);
  });
  it("do not disturb the values they were sorted from", () => {
    const values = of(3, 1);
    stats.sorted(values);
    expect([...values]).toEqual([3, 1]);
  });
});

it("summary of a thousand values equals what NumPy says of arange(1000) / 10", () => {
  const summary = stats.summary(Float64Array.from({ length: 1000 }, (_, i) => i / 10))!;
  expect(summary).toMatchObject({ n: 1000, min: 0, max: 99.9 });
  expect(summary.mean).toBeCloseTo(49.95, 10);
  expect(summary.p50).toBeCloseTo(49.95, 10);
  expect(summary.p95).toBeCloseTo(94.905, 10);
  expect(summary.p99).toBeCloseTo(98.901, 10);
});

describe("histogram", () => {
  const counted = (bins: stats.Bins) => bins.counts.reduce((a, b) => a + b, 0);
  it("counts every value once and has round edges", () => {
    const values = stats.sorted(Float64Array.from({ length: 5000 }, (_, i) => 8 + ((i * 7919) % 4000) / 1000));
    const bins = stats.histogram(values)!;
    expect(counted(bins)).toBe(5000);
    expect(bins.edges[0]).toBeLessThanOrEqual(8);
    expect(bins.edges.at(-1)).toBeGreaterThanOrEqual(11.999);
    expect(bins.edges.length).toBe(bins.counts.length + 1);
    const step = bins.edges[1]! - bins.edges[0]!;
    expect(stats.niceStep(step * 0.999)).toBeCloseTo(step, 9);
  });
  it("keeps its shape when one frame takes a thousand times as long", () => {
    const usual = Float64Array.from({ length: 999 }, (_, i) => 10 + i / 1000);
    const bins = stats.histogram(stats.sorted(Float64Array.from([...usual, 10_000])))!;
    expect(bins.over).toBe(true);
    expect(counted(bins)).toBe(1000);
    expect(bins.edges.at(-1)).toBeLessThan(13);
    expect(bins.counts.at(-1)).toBeGreaterThanOrEqual(1);
  });
  it("of one value, or of equal values, has a bin with all of them", () => {
    expect(counted(stats.histogram(of(16.7))!)).toBe(1);
    expect(counted(stats.histogram(of(5, 5, 5))!)).toBe(3);
    expect(stats.histogram(of())).toBeNull();
  });
});

describe("percentile curve", () => {
  it("goes no further than its values can tell", () => {
    const curve = stats.percentileCurve(Float64Array.from({ length: 100 }, (_, i) => i))!;
    expect(curve.p[0]).toBe(0);
    expect(curve.p.at(-1)).toBeCloseTo(99, 9);
    expect(curve.value.at(-1)).toBeCloseTo(98.01, 9);
    expect([...curve.value].every((value, i, all) => i === 0 || value >= all[i - 1]!)).toBe(true);
  });
  it("of one value is flat, of none is absent", () => {
    expect(new Set(stats.percentileCurve(of(4))!.value)).toEqual(new Set([4]));
    expect(stats.percentileCurve(of())).toBeNull();
  });
  it("agrees with the rank of a value", () => {
    const values = Float64Array.from({ length: 101 }, (_, i) => i);
    expect(stats.rankOf(values, 25)).toBe(25);
    expect(stats.rankOf(values, 1000)).toBe(100);
  });
});

describe("places in rising values", () => {
  it("finds the first that is not below", () => {
    expect([0, 1, 1.5, 3, 9].map((limit) => stats.lowerBound(of(1, 1, 2, 3), limit))).toEqual([0, 0, 2, 3, 4]);
  });
  it("finds the nearest, the earlier of two as near", () => {
    expect([-5, 1.4, 1.5, 1.6, 9].map((at) => stats.nearest(of(1, 2, 3), at))).toEqual([0, 0, 0, 1, 2]);
    expect(stats.nearest(of(), 1)).toBe(-1);
  });
});

describe("correlation", () => {
  it("is 1, -1 and unknown where it must be", () => {
    expect(stats.correlation(of(1, 2, 3), of(10, 20, 30))).toBeCloseTo(1, 12);
    expect(stats.correlation(of(1, 2, 3), of(3, 2, 1))).toBeCloseTo(-1, 12);
    expect(stats.correlation(of(1, 2, 3), of(5, 5, 5))).toBeNaN();
    expect(stats.correlation(of(1, 2), of(1, 2))).toBeNaN();
  });
  it("of a known table is what NumPy's corrcoef says", () => {
    expect(stats.correlation(of(43, 21, 25, 42, 57, 59), of(99, 65, 79, 75, 87, 81))).toBeCloseTo(0.529809, 6);
  });
  it("leaves out rows where either is absent", () => {
    expect(stats.correlation(of(1, NaN, 2, 3), of(1, 9, NaN, 3))).toBeNaN();
    expect(stats.correlation(of(1, NaN, 2, 3), of(1, 9, 2, 3))).toBeCloseTo(1, 12);
  });
});

it("the usual interval is not moved by one long gap", () => {
  const times = Float64Array.from({ length: 200 }, (_, i) => i * 16.7 + (i > 100 ? 60_000 : 0));
  expect(stats.usualInterval(times)).toBeCloseTo(16.7, 6);
  expect(stats.usualInterval(of(1))).toBeNaN();
});
