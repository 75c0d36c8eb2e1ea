import { describe, expect, it } from "vitest";
import { eventOf, retryDelay } from "@/lib/live/connection";
import { Parser } from "@/lib/live/sse";

const STREAM = 'retry: 1000\n\nid: s.0.10.aa\nevent: hello\ndata: {"a":1}\n\n: still here\n\nevent: frames\ndata: [1,\ndata: 2]\r\n\r\nid\nevent: state\ndata: x\r\r';
const MESSAGES = [
  { event: "hello", data: '{"a":1}', id: "s.0.10.aa" },
  { event: "frames", data: "[1,\n2]", id: "s.0.10.aa" },
  { event: "state", data: "x", id: "" },
];

describe("server-sent events", () => {
  it("are the same wherever the pieces are cut", () => {
    for (let size = 1; size <= STREAM.length; size++) {
      const parser = new Parser();
      const got = [];
      for (let at = 0; at < STREAM.length; at += size) got.push(...parser.feed(STREAM.slice(at, at + size)));
      // the last CR may still be the first half of a CRLF
      got.push(...parser.feed("\n"));
      expect(got).toEqual(MESSAGES);
    }
  });
  it("that are cut off in the middle are not told", () => {
    expect(new Parser().feed("event: frames\ndata: [1")).toEqual([]);
    expect(new Parser().feed("event: frames\ndata: [1]\n")).toEqual([]);
  });
  it("may begin with a byte order mark", () => {
    expect(new Parser().feed("\uFEFFdata: 1\n\n")).toEqual([{ event: "message", data: "1", id: null }]);
  });
  it("of kinds this page does not know are passed over", () => {
    expect(eventOf({ event: "weather", data: "not json", id: null })).toBeNull();
    expect(eventOf({ event: "rewind", data: '{"at":5}', id: null })).toEqual({ type: "rewind", data: { at: 5 } });
  });
});

it("waits grow from half a second to some eight, with chance, so that not all pages come back at once", () => {
  expect([1, 2, 3, 4, 5, 50].map((failures) => retryDelay(failures, 0.5))).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
  expect(retryDelay(50, 0)).toBe(6000);
  expect(retryDelay(50, 1)).toBe(10_000);
});
