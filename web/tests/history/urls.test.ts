import { describe, expect, it } from "vitest";
import { exportUrl, latencyUrl, sessionUrl, signalsUrl } from "@/lib/history/urls";
import { readRange, readView, viewHref } from "@/lib/history/view-url";

describe("addresses of the API", () => {
  it("keeps a hostile session name in its place", () => {
    expect(sessionUrl('../x?y#z"<')).toBe("/api/sessions/..%2Fx%3Fy%23z%22%3C");
  });

  it("names a pair in one value, and in two where a stage has a comma", () => {
    expect(latencyUrl("s", ["ingress", "encoded"], null, 10)).toBe("/api/sessions/s/latency?pair=ingress%2Cencoded&points=10");
    expect(latencyUrl("s", ["a,b", "c"], null, 10)).toBe("/api/sessions/s/latency?pair=a%2Cb&pair=c&points=10");
  });

  it("sends microseconds and no noise of floating point", () => {
    const range = { from: 1763800000133.1001, to: 1763800000134.9999 };
    expect(exportUrl("s", "csv", null, range)).toBe("/api/sessions/s/export.csv?from=1763800000133.1&to=1763800000135");
  });

  it("asks for one signal in the range, or for the list of all", () => {
    expect(signalsUrl("s", null, { from: 1, to: 2 }, 5)).toBe("/api/sessions/s/signals");
    expect(signalsUrl("s", { source: "gpu.nvml", key: "power_w", dev: null }, { from: 1, to: 2 }, 5)).toBe(
      "/api/sessions/s/signals?source=gpu.nvml&key=power_w&from=1&to=2&points=5",
    );
  });
});

describe("the address of a session's page", () => {
  it("says again what it was made from, whatever the names are", () => {
    const view = {
      id: '<img src=x>&a=b "quoted"',
      pair: ["in,gress", "en=coded"] as [string, string],
      range: { from: 1763800000000.5, to: 1763800001000.25 },
      signals: [{ source: "disk.psutil", key: "read", dev: 'nvme0"n1' }, { source: "cpu", key: "load", dev: null }],
    };
    expect(readView(new URLSearchParams(viewHref(view).split("?")[1]))).toEqual(view);
  });

  it.each([[null, "2"], ["", "2"], ["x", "2"], ["2", "2"], ["3", "2"], ["NaN", "2"], ["1", "Infinity"]])(
    "takes the range %s to %s for the whole session",
    (from, to) => expect(readRange(from, to)).toBeNull(),
  );

  it("passes over a signal that is none", () => {
    const query = new URLSearchParams([["id", "s"], ["signal", "{"], ["signal", "[1,2,3]"], ["signal", "null"]]);
    expect(readView(query)?.signals).toEqual([]);
  });

  it("without a name is the list", () => expect(readView(new URLSearchParams("id="))).toBeNull());
});
