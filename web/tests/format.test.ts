import { describe, expect, it } from "vitest";
import * as format from "@/lib/format";
import { isThresholds, verdict } from "@/lib/prefs";

describe("numbers", () => {
  it("that are absent are said to be, never 0", () => {
    for (const show of [format.latency, format.power, format.energy]) {
      expect(format.text(show(null))).toBe("absent");
      expect(format.text(show(NaN))).toBe("absent");
      expect(show(0).value).not.toBe("absent");
    }
    expect(format.duration(undefined)).toBe("absent");
    expect(format.bytes(null)).toBe("absent");
  });
  it("have the unit that fits", () => {
    expect(format.latency(10.5)).toEqual({ value: "10.50", unit: "ms" });
    expect(format.latency(12_345)).toEqual({ value: "12.35", unit: "s" });
    expect(format.energy(0.0321)).toEqual({ value: "32.1", unit: "mJ" });
    expect(format.energy(2.5851)).toEqual({ value: "2.59", unit: "J" });
    expect(format.power(246.24)).toEqual({ value: "246.2", unit: "W" });
    expect(format.number(0.75, 3)).toBe("0.75");
  });
  it("of time have their two largest units", () => {
    const plain = (ms: number) => format.duration(ms).replace(/\s/g, " ");
    expect([42, 12_300, 60_000, 245_000, 11_520_000, 187_200_000].map(plain)).toEqual(["42 ms", "12.3 s", "1 min", "4 min 5 s", "3 h 12 min", "2 d 4 h"]);
    expect(plain(-5000)).toBe("−5.0 s");
  });
});

it("why power is absent is said in words, an unknown reason as it stands", () => {
  expect(format.why("no_source")).toBe("no power source is recording");
  expect(format.why("meter on fire")).toBe("meter on fire");
});

describe("thresholds", () => {
  it("judge as the documents say: under 10 good, 10 to 20 fair, over 20 slow", () => {
    expect([9.99, 10, 20, 20.01].map((ms) => verdict(ms, [10, 20]))).toEqual(["ok", "warn", "warn", "bad"]);
  });
  it("that are damaged in storage are not taken", () => {
    expect([[10, 20], [5, 5], [20, 10], [0, 1], ["1", "2"], [1], null, [1, Infinity], [NaN, 2]].map(isThresholds)).toEqual([true, false, false, false, false, false, false, false, false]);
  });
});
