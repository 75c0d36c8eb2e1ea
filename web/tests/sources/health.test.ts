import { describe, expect, it } from "vitest";
import { age, healthOf, uncertainty } from "@/lib/sources/health";

describe("how a source fares", () => {
  it.each([
    [{ up: true, stale: false, last_ms: 1 }, "up"],
    [{ up: null, stale: false, last_ms: 1 }, "up"],
    [{ up: null, stale: false, last_ms: null }, "unknown"],
    [{ up: true, stale: true, last_ms: 1 }, "stale"],
    [{ up: false, stale: true, last_ms: 1 }, "absent"],
  ])("%o is %s", (source, health) => expect(healthOf(source)).toBe(health));

  it("has an age that is never negative and never a false 0", () => {
    const ages = [null, -30, 140, 9949, 12_300, 61_000].map((ms) => age(ms).replace(/\s/g, " "));
    expect(ages).toEqual(["–", "0.0 s", "0.1 s", "9.9 s", "12.0 s", "1 min 1 s"]);
  });

  it("says microseconds where milliseconds would be 0", () => {
    expect([null, 0.0004, 0.02, 0.75].map(uncertainty)).toEqual(["–", "< 1 µs", "± 20 µs", "± 0.75 ms"]);
  });
});
