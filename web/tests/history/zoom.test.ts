import { describe, expect, it } from "vitest";
import { NARROWEST_MS, moved, rangeOfKey, scaled, within } from "@/lib/history/zoom";

const whole = { from: 1000, to: 2000 };

describe("zoom", () => {
  it("halves about the middle, also from the whole", () => {
    expect(scaled(null, whole, 0.5)).toEqual({ from: 1250, to: 1750 });
    expect(scaled({ from: 1200, to: 1400 }, whole, 0.5)).toEqual({ from: 1250, to: 1350 });
  });

  it("becomes the whole, and not more, on the way out", () => {
    expect(scaled({ from: 1250, to: 1750 }, whole, 2)).toBeNull();
    expect(scaled({ from: 1000, to: 1200 }, whole, 2)).toEqual({ from: 1000, to: 1300 });
  });

  it("never gets narrower than can be drawn", () => {
    const range = scaled({ from: 1500, to: 1500.5 }, whole, 0.5);
    expect(range && range.to - range.from).toBeCloseTo(NARROWEST_MS);
  });

  it("moves without changing its width, up to the ends", () => {
    expect(moved({ from: 1100, to: 1300 }, whole, 0.25)).toEqual({ from: 1150, to: 1350 });
    expect(moved({ from: 1020, to: 1220 }, whole, -0.25)).toEqual({ from: 1000, to: 1200 });
    expect(moved({ from: 1790, to: 1990 }, whole, 0.25)).toEqual({ from: 1800, to: 2000 });
    expect(moved(null, whole, 0.25)).toBeNull();
  });

  it("by keys goes in and out, earlier and later, and lets all others be", () => {
    const range = { from: 1400, to: 1600 };
    expect(["+", "=", "-"].map((key) => rangeOfKey(key, range, whole))).toEqual([{ from: 1450, to: 1550 }, { from: 1450, to: 1550 }, { from: 1300, to: 1700 }]);
    expect([",", "."].map((key) => rangeOfKey(key, range, whole))).toEqual([{ from: 1350, to: 1550 }, { from: 1450, to: 1650 }]);
    expect(rangeOfKey("0", range, whole)).toBeNull();
    expect(rangeOfKey("x", range, whole)).toBeUndefined();
  });

  it("outside the session is the whole session", () => {
    expect(within({ from: 0, to: 500 }, whole)).toBeNull();
    expect(within({ from: 500, to: 1500 }, whole)).toEqual({ from: 1000, to: 1500 });
  });
});
