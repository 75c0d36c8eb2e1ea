import { type Pair, pairParams } from "@/lib/api";

/** A stretch of time, epoch ms; null is the whole session. */
export type Range = { from: number; to: number } | null;

const session = (id: string) => `/api/sessions/${encodeURIComponent(id)}`;

/** Times are sent with the microseconds that webd gives, and no more. */
function addRange(query: URLSearchParams, range: Range): void {
  if (!range) return;
  query.set("from", String(Math.round(range.from * 1000) / 1000));
  query.set("to", String(Math.round(range.to * 1000) / 1000));
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

const forPair = (pair: Pair | null) => (pair ? pairParams(pair) : new URLSearchParams());

export function sessionsUrl(search: string, limit: number): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (search) query.set("q", search);
  return withQuery("/api/sessions", query);
}

export const sessionUrl = session;

export function latencyUrl(id: string, pair: Pair | null, range: Range, points: number): string {
  const query = forPair(pair);
  addRange(query, range);
  query.set("points", String(points));
  return withQuery(`${session(id)}/latency`, query);
}

export interface SignalKey {
  source: string;
  dev: string | null;
  key: string;
}

/** The address of one signal's values, or with null of the list of signals that there are. */
export function signalsUrl(id: string, signal: SignalKey | null, range: Range, points: number): string {
  const query = new URLSearchParams();
  if (signal) {
    query.set("source", signal.source);
    query.set("key", signal.key);
    if (signal.dev !== null) query.set("dev", signal.dev);
    addRange(query, range);
    query.set("points", String(points));
  }
  return withQuery(`${session(id)}/signals`, query);
}

export function exportUrl(id: string, kind: "csv" | "capframex.json", pair: Pair | null, range: Range): string {
  const query = forPair(pair);
  addRange(query, range);
  return withQuery(`${session(id)}/export.${kind}`, query);
}
