import { describe, expect, it } from "vitest";
import type { Source } from "@/lib/api";
import { deviceName, familiesOf } from "@/lib/sources/families";

function source(name: string, dev: string | null, more: Partial<Source> = {}): Source {
  return { source: name, dev, stream: "telemetry", up: true, why: null, fix: null, sim: false, last_ms: 1, age_ms: 0, rate_hz: 1, period_s: 1, stale: false, unc_ms: null, values: [], ...more };
}

describe("sources", () => {
  it("of a few devices have a card each, of many devices one together; none is lost", () => {
    const disks = ["sda", "sdb", "sdc", "sdd"].map((dev) => source("disk.psutil", dev));
    const machines = Array.from({ length: 20 }, (_, i) => source("vm.libvirt", `m${i}`));
    const families = familiesOf([...disks, ...machines]);
    expect(families.map(({ members }) => members.length)).toEqual([1, 1, 1, 1, 20]);
    expect(new Set(families.map(({ key }) => key)).size).toBe(5);
    expect(new Set(families.flatMap(({ members }) => members)).size).toBe(24);
  });
  it("of one card begin with what needs attention, then go by name", () => {
    const states = [{ up: true }, { up: true, stale: true }, { up: false }, { up: true }, { up: true }];
    const [family] = familiesOf(states.map((state, i) => source("vm.libvirt", `m${10 - i}`, state)));
    expect(family!.members.map(({ dev }) => dev)).toEqual(["m8", "m9", "m6", "m7", "m10"]);
  });
  it("are called what people call them", () => {
    const name = { key: "name", value: "web-1", unit: null, help: null };
    expect(deviceName(source("vm.libvirt", "0f3d3e34", { values: [name] }))).toBe("web-1");
    expect(deviceName(source("disk.psutil", "sda"))).toBe("sda");
    expect(deviceName(source("pipeline", null))).toBe("telemetry");
  });
});
