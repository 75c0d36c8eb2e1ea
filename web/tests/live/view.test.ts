import { describe, expect, it } from "vitest";
import { csvName, csvOf, field } from "@/lib/live/csv";
import * as m from "@/lib/live/model";
import { absentPower, figuresOf, gapLimit, gapsOf, newestOf, viewOf } from "@/lib/live/view";
import { drops, frames, hello } from "./events";

function model(...events: m.StreamEvent[]): m.Model {
  const made = m.emptyModel();
  events.forEach((event) => m.apply(made, event));
  return made;
}

const HUNDRED = Array.from({ length: 100 }, (_, i) => i * 100);

describe("a window", () => {
  it("has the rows of its time, both edges included", () => {
    const view = viewOf(model(frames(HUNDRED)), { from: 1100, to: 1200 });
    expect(view.t.length).toBe(11);
    expect([view.t[0], view.t[10]]).toEqual([1100, 1200]);
  });
  it("with one point has figures and no trend, gap or curve made up", () => {
    const figures = figuresOf(viewOf(model(frames([100])), { from: 0, to: 60_000 }));
    expect(figures.p99).toMatchObject({ value: 10.1, n: 1, trend: null });
    expect(figures.correlation).toBeNaN();
    expect(figures.of.gaps).toEqual([]);
  });
  it("has the newest frame's values, absent ones as absent", () => {
    const view = viewOf(model(frames([100, 200], { power_w: [246.2, null] })), { from: 0, to: 9999 });
    expect(newestOf(view.lat, view.power)).toEqual({ lat: 10.2, power: null });
    expect(newestOf(view.lat.subarray(0, 0), view.power.subarray(0, 0))).toBeNull();
  });
  it("with none says absent, not zero", () => {
    const figures = figuresOf(viewOf(model(), { from: 0, to: 1 }));
    for (const name of ["min", "max", "mean", "p95", "p99", "power", "energy"] as const) {
      expect(figures[name]).toMatchObject({ value: null, n: 0, trend: null });
    }
    expect(figures.latencies).toBeNull();
    expect(figures.energy_total).toBeNull();
  });
});

describe("figures", () => {
  it("are those of the window's rows", () => {
    const figures = figuresOf(viewOf(model(frames(HUNDRED)), { from: 1000, to: 1990 }));
    expect(figures.min.value).toBe(10);
    expect(figures.max.value).toBeCloseTo(19.9, 12);
    expect(figures.mean.value).toBeCloseTo(14.95, 12);
    expect(figures.p95.value).toBeCloseTo(19.405, 12);
    expect(figures.mean.trend).toBeCloseTo(5, 6);
    expect(figures.energy_total).toBeCloseTo(200, 9);
  });
  it("of absent power leave out what is absent, and say why it mostly is", () => {
    const view = viewOf(
      model(frames([100, 200, 300, 400], { power_w: [null, null, 100, null], energy_j: [null, null, 1, null], why: ["gap", "no_source", null, "no_source"] })),
      { from: 0, to: 9999 },
    );
    expect(figuresOf(view).power).toMatchObject({ value: 100, n: 1 });
    expect(absentPower(view)).toBe("no_source");
    expect(absentPower(viewOf(model(frames([100])), { from: 0, to: 9999 }))).toBeNull();
  });
});

describe("gaps", () => {
  it("are ten usual distances, a quarter of a second at least", () => {
    expect(gapLimit(Float64Array.from([0, 16, 32, 48]))).toBe(250);
    expect(gapLimit(Float64Array.from([0, 1000, 2000]))).toBe(10_000);
    expect(gapsOf(Float64Array.from([0, 16, 400, 416]), 250)).toEqual([[16, 400]]);
    expect(gapsOf(Float64Array.from([5]), gapLimit(Float64Array.from([5])))).toEqual([]);
  });
});

describe("CSV", () => {
  const shown = model(hello({ sim: true, sim_of: ["pipeline"] }), frames([100, 200], { power_w: [246.2, null], why: [null, "gap"], sim: true }), drops([150]));
  const view = viewOf(shown, { from: 0, to: 2000 });
  it("has session, units and exactly the rows shown, in order of time", () => {
    const lines = csvOf(view).split("\r\n");
    expect(lines.slice(0, 3)).toEqual(["# session: dev", "# node: bench", "# pair: ingress -> encoded"]);
    expect(lines).toContain("# simulated: pipeline");
    const rows = lines.filter((line) => !line.startsWith("#"));
    expect(rows[0]).toBe("kind,time_utc,t_ms,lat_ms,power_w,energy_j,frame,unc_ms,power_why,drop_reason,stage,sim");
    expect(rows.slice(1)).toEqual([
      "frame,1970-01-01T00:00:01.010Z,1010,10.1,246.2,2,1,0.5,,,,1",
      "drop,1970-01-01T00:00:01.015Z,1015,,,,,,,lost,ingress,1",
      "frame,1970-01-01T00:00:01.020Z,1020,10.2,,2,2,0.5,gap,,,1",
      "",
    ]);
  });
  it("of a paused page is that page, not what has come since", () => {
    const made = model(hello(), frames([100, 200]));
    m.pause(made, 1020);
    m.apply(made, frames([300]));
    expect(csvOf(viewOf(made, { from: 0, to: 2000 }))).not.toContain("1030");
  });
  it("lets no name out of its field, nor become a formula", () => {
    expect(field('a,"b"')).toBe('"a,""b"""');
    expect(field("=1+1")).toBe("'=1+1");
    expect(csvOf(viewOf(model(hello({ session: "x\r\nframe,1" })), { from: 0, to: 1 })).split("\r\n")[0]).toBe("# session: x frame,1");
  });
  it("has a name that is safe on every disk", () => {
    expect(csvName(view)).toBe("dev_ingress-encoded_1970-01-01T000002.csv");
    expect(csvName({ ...view, session: "../../a b", pair: null })).toBe("..-..-a-b_1970-01-01T000002.csv");
  });
});
