import { describe, expect, it } from "vitest";
import { Ring } from "@/lib/ring";

const make = (most = 100, capacity = 4) => new Ring(["at", "t"] as const, "t", most, capacity);
const fill = (ring: ReturnType<typeof make>, times: number[]) => times.forEach((t, i) => ring.add({ at: i, t }));

describe("ring", () => {
  it("grows without losing a row, and gives up the oldest when full", () => {
    const ring = make(10);
    fill(ring, Array.from({ length: 25 }, (_, i) => i));
    expect([...ring.column("t")]).toEqual([15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
    expect([...ring.column("at", 2, 4)]).toEqual([17, 18]);
  });
  it("puts a row that is late where it belongs, with all its columns", () => {
    const ring = make();
    fill(ring, [1, 2, 5, 3, 4]);
    expect([...ring.column("t")]).toEqual([1, 2, 3, 4, 5]);
    expect([...ring.column("at")]).toEqual([0, 1, 3, 4, 2]);
  });
  it("takes out rows by another column than its order", () => {
    const ring = make();
    fill(ring, [1, 2, 5, 3, 4]);
    expect(ring.removeFrom("at", 3)).toBe(2);
    expect([...ring.column("t")]).toEqual([1, 2, 5]);
  });
  it("forgets what is too old and goes on", () => {
    const ring = make();
    fill(ring, [1, 2, 3]);
    ring.dropBelow(3);
    ring.add({ at: 9, t: 4 });
    expect([...ring.column("t")]).toEqual([3, 4]);
    ring.dropBelow(100);
    expect(ring.size).toBe(0);
  });
  it("leaves a column it handed out as it was when it grows", () => {
    const ring = make(100, 2);
    fill(ring, [1, 2]);
    const before = ring.column("t");
    fill(ring, [3, 4, 5, 6]);
    expect([...before]).toEqual([1, 2]);
  });
  it("has copies that live on their own", () => {
    const ring = make();
    fill(ring, [1, 2, 3]);
    const twin = ring.copy();
    ring.clear();
    fill(ring, [7]);
    expect([...twin.column("t")]).toEqual([1, 2, 3]);
    twin.add({ at: 8, t: 8 });
    expect([...ring.column("t")]).toEqual([7]);
  });
  it("holds against a plain list through a long random history", () => {
    let seed = 42;
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    const ring = make(64, 4);
    let model: { at: number; t: number }[] = [];
    let at = 0;
    for (let step = 0; step < 3000; step++) {
      const choice = random(100);
      if (choice < 90) {
        const row = { at: at++, t: random(1000) };
        ring.add(row);
        const place = model.findLastIndex((each) => each.t <= row.t) + 1;
        model.splice(place, 0, row);
        model = model.slice(-64);
      } else if (choice < 95) {
        const limit = at - random(20);
        ring.removeFrom("at", limit);
        model = model.filter((row) => row.at < limit);
      } else {
        const limit = random(200);
        ring.dropBelow(limit);
        model = model.filter((row) => row.t >= limit);
      }
      expect([...ring.column("t")]).toEqual(model.map((row) => row.t));
      expect([...ring.column("at")]).toEqual(model.map((row) => row.at));
    }
  });
});
