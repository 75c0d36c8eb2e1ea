/** Types of webd's HTTP API and the one way to ask it. Times are epoch milliseconds, up to 3 decimals; null is absent. */

export type Pair = [from: string, to: string];
export type Num = number | null;

export interface Clock {
  synchronized: boolean | null;
  unc_ms: Num;
}

export interface Hello {
  /** null while no session is there. */
  session: string | null;
  node: string | null;
  open: boolean;
  sim: boolean;
  sim_of?: string[] | null;
  pairs: Pair[];
  default_pair: Pair | null;
  thresholds_ms: [ok: number, slow: number];
  now_ms: number;
  version: string;
  clock: Clock;
  reset?: boolean;
}

/** Columns of equal length; `at` is the byte offset of the row in the aligned file and rises. */
export interface Frames {
  pair: Pair;
  at: number[];
  t_ms: number[];
  lat_ms: Num[];
  power_w: Num[];
  energy_j: Num[];
  frame: Num[];
  unc_ms: Num[];
  why: (string | null)[];
  sim: boolean;
}

export interface Drops {
  pair: Pair;
  at: number[];
  t_ms: number[];
  reason: (string | null)[];
  stage: (string | null)[];
  frame: Num[];
}

export interface State {
  now_ms: number;
  newest_ms: Num;
  lag_ms: Num;
  muxd: "live" | "stale" | "absent";
  power_source: string | null;
  power_now_w: Num;
  dropped: Record<string, number>;
  /** From when on they are counted; null is the session's beginning. */
  dropped_since_ms: Num;
  temp_c: Num;
}

export interface LiveRow {
  t: number;
  t_ms: number;
  at: number;
  lat_ms: Num;
  power_w: Num;
  energy_j: Num;
  frame: Num;
  unc_ms: Num;
  why: string | null;
}

/** /api/live with `since`; `hello` comes with `reset`. */
export interface Live {
  rows: LiveRow[];
  cursor: string;
  session: string | null;
  pair: Pair | null;
  reset: boolean;
  hello?: Hello;
  state: State;
}

export interface SessionPair {
  pair: Pair;
  frames: number;
  drops: number;
}

export interface Session {
  id: string;
  node: string | null;
  created_ms: Num;
  first_ms: Num;
  last_ms: Num;
  open: boolean;
  current: boolean;
  pinned: boolean;
  sim: boolean;
  size_bytes: number;
  pairs: SessionPair[];
  notes: number;
  why: string | null;
  /** The share of its rows that the figures are from, while webd is reading them. */
  indexing?: number;
}

export interface SessionList {
  total: number;
  sessions: Session[];
}

export interface Note {
  t_ms: number;
  text: string;
  author: string | null;
}

export interface Bookmark {
  t_ms: number;
  name: string;
}

export interface Stream {
  name: string;
  size_bytes: number;
  first_ms: Num;
  last_ms: Num;
  /** null where muxd never read it. */
  bad_lines: Num;
}

export interface SessionDetail extends Omit<Session, "notes"> {
  host: Record<string, unknown>;
  version: string | null;
  clock: Clock;
  streams: Stream[];
  /** Of the aligned rows; each stream has its own. */
  bad_lines: Num;
  provisional: boolean;
  notes: Note[];
  bookmarks: Bookmark[];
  sim_of: string[] | null;
}

export interface FrameColumns {
  t_ms: number[];
  lat_ms: number[];
  power_w: Num[];
  energy_j: Num[];
  frame: Num[];
  temp_c: Num[];
}

export interface BucketColumns {
  t_ms: number[];
  n: number[];
  lat_min_ms: Num[];
  lat_mean_ms: Num[];
  lat_max_ms: Num[];
  power_min_w: Num[];
  power_mean_w: Num[];
  power_max_w: Num[];
  energy_j: Num[];
  drops: number[];
}

export interface LatencyStats {
  n: number;
  min_ms: Num;
  max_ms: Num;
  mean_ms: Num;
  p50_ms: Num;
  p95_ms: Num;
  p99_ms: Num;
  percentile_error: number;
  power_mean_w: Num;
  energy_mean_j: Num;
  energy_j: Num;
}

interface LatencyCommon {
  session: string;
  pair: Pair;
  from_ms: number;
  to_ms: number;
  frames: number;
  drops: number;
  drops_ms: number[];
  gaps: [a_ms: number, b_ms: number][];
  stats: LatencyStats;
  histogram: { edges_ms: number[]; counts: number[] };
  provisional: boolean;
  sim: boolean;
  indexing: number;
}

export type Latency = LatencyCommon &
  ({ resolution: "frames"; columns: FrameColumns } | { resolution: "buckets"; columns: BucketColumns });

export interface SignalName {
  source: string;
  dev: string | null;
  key: string;
  unit: string | null;
  kind: string | null;
}

export type SignalSeries = Omit<SignalName, "kind"> &
  (
    | { resolution: "samples" | "frames"; columns: { t_ms: number[]; value: Num[] } }
    | { resolution: "buckets"; columns: { t_ms: number[]; n: number[]; min: Num[]; mean: Num[]; max: Num[] } }
  );

export interface Signals {
  available: SignalName[];
  series: SignalSeries[];
  indexing: number;
}

export type Plain = number | string | boolean | null;

export interface SourceValue {
  key: string;
  /** A table is a list of its first rows. */
  value: Plain | object;
  unit: string | null;
  help: string | null;
}

export interface Source {
  source: string;
  dev: string | null;
  stream: string;
  up: boolean | null;
  why: string | null;
  fix: string | null;
  sim: boolean;
  last_ms: Num;
  age_ms: Num;
  rate_hz: Num;
  period_s: Num;
  stale: boolean;
  unc_ms: Num;
  values: SourceValue[];
}

export interface Sources {
  session: string | null;
  now_ms: number;
  sources: Source[];
  streams: { name: string; writer: "live" | "dead" | null; last_ms: Num }[];
}

/** An answer that was not a success; `status` 0 is a server that did not answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export type Query = Record<string, string | number | null | undefined>;

/** Return a path of the API with its query; null and undefined are left out. */
export function url(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

/** Return the query value that names a pair; a stage with a comma cannot be written this way, see `pairParams`. */
export function pairKey(pair: Pair): string {
  return pair.join(",");
}

/** Return `pair=` parameters for a pair, the two-value form where a stage has a comma. */
export function pairParams(pair: Pair): URLSearchParams {
  const plain = !pair.some((stage) => stage.includes(","));
  return new URLSearchParams(plain ? [["pair", pairKey(pair)]] : pair.map((stage) => ["pair", stage]));
}

async function failure(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const body: unknown = JSON.parse(text);
    if (body && typeof body === "object" && "error" in body) return new ApiError(response.status, String(body.error));
  } catch {
    // not JSON: something other than webd answered
  }
  return new ApiError(response.status, `${response.status} ${response.statusText}`.trim());
}

/** Ask webd for JSON. Raises ApiError, or AbortError where `init.signal` says so. */
export async function request<T>(path: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { cache: "no-store", ...init, headers: { accept: "application/json", ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The dashboard's server does not answer.");
  }
  if (!response.ok) throw await failure(response);
  return (await response.json()) as T;
}

/** Post JSON to one of the two routes that change state; `token` is needed where webd is not on loopback. */
export function post<T>(path: string, body: unknown, token?: string): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  return request<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
}
