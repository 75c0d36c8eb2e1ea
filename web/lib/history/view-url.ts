import type { Pair } from "@/lib/api";
import type { Range, SignalKey } from "./urls";

/** What the address of a session's page says: which session, pair, stretch of time and signals. */
export interface View {
  id: string;
  pair: Pair | null;
  range: Range;
  signals: SignalKey[];
}

const number = (text: string | null) => (text === null || text.trim() === "" ? Number.NaN : Number(text));

/** A range that is none (reversed, not numbers) is the whole session, never an error. */
export function readRange(from: string | null, to: string | null): Range {
  const [a, b] = [number(from), number(to)];
  return Number.isFinite(a) && Number.isFinite(b) && a < b ? { from: a, to: b } : null;
}

export function readView(query: URLSearchParams): View | null {
  const id = query.get("id");
  if (!id) return null;
  const [a, b] = [query.get("a"), query.get("b")];
  return {
    id,
    pair: a && b ? [a, b] : null,
    range: readRange(query.get("from"), query.get("to")),
    signals: query.getAll("signal").flatMap(readSignal),
  };
}

export function viewHref(view: View): string {
  const query = new URLSearchParams({ id: view.id });
  if (view.pair) {
    query.set("a", view.pair[0]);
    query.set("b", view.pair[1]);
  }
  if (view.range) {
    query.set("from", view.range.from.toFixed(3));
    query.set("to", view.range.to.toFixed(3));
  }
  for (const signal of view.signals) query.append("signal", signalId(signal));
  return `/sessions/?${query}`;
}

/** A signal in one word; JSON, because sources and devices may hold any separator. */
export function signalId(signal: SignalKey): string {
  return JSON.stringify([signal.source, signal.key, signal.dev]);
}

function readSignal(text: string): SignalKey[] {
  try {
    const [source, key, dev] = JSON.parse(text);
    const whole = typeof source === "string" && typeof key === "string" && (dev === null || typeof dev === "string");
    return whole ? [{ source, key, dev }] : [];
  } catch {
    return [];
  }
}
