/**
 * The line to webd: the stream, resumed by Last-Event-ID when it breaks; where only the stream is blocked, /api/live
 * once a second until the stream gets through.
 */

import { ApiError, type Live, type Pair, pairParams, request } from "../api";
import type { StreamEvent } from "./model";
import { type Message, Parser } from "./sse";

export type Status =
  | { kind: "connecting" }
  | { kind: "open" }
  /** The stream does not get through, polling does. */
  | { kind: "polling" }
  /** webd does not answer; `retry_ms` until it is asked again. */
  | { kind: "offline"; why: string; retry_ms: number };

export interface Listener {
  status(status: Status): void;
  event(event: StreamEvent): void;
  polled(live: Live): void;
}

/** webd sends its state each second; this long without a word is a broken line. */
const SILENCE_MS = 6_000;
const POLL_MS = 1_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8_000;
/** The longest window. */
const BACKFILL_S = 900;

const TYPES = new Set(["hello", "frames", "drops", "rewind", "state", "end"]);

/** Return the event in a message; null for kinds this page does not know, so that the server may grow. */
export function eventOf(message: Message): StreamEvent | null {
  if (!TYPES.has(message.event)) return null;
  return { type: message.event, data: JSON.parse(message.data) } as StreamEvent;
}

/** Return how long to wait after `failures` in a row. */
export function retryDelay(failures: number, chance: number = Math.random()): number {
  const steady = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1));
  return steady * (0.75 + chance * 0.5);
}

export class Connection {
  private stopped = false;
  private failures = 0;
  private lastId: string | null = null;
  private cursor = "";
  private polling: ReturnType<typeof setInterval> | undefined;
  private attempt: AbortController | undefined;
  private wake: (() => void) | undefined;

  /** Report to `listener`; `pair` null takes all pairs. */
  constructor(
    private readonly listener: Listener,
    readonly pair: Pair | null,
    private readonly origin = "",
  ) {}

  /** Keep the line until `stop`. */
  async run(): Promise<void> {
    this.listener.status({ kind: "connecting" });
    while (!this.stopped) {
      const outcome = await this.stream();
      if (this.stopped) return;
      if (outcome.heard) {
        this.failures = 0;
        await this.pause(50);
        continue;
      }
      this.failures += 1;
      await this.makeDo(outcome.error);
    }
  }

  stop(): void {
    this.stopped = true;
    this.stopPolling();
    this.attempt?.abort();
    this.wake?.();
  }

  /** Try again now, not at the end of the wait. */
  retry(): void {
    this.wake?.();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** After a stream that said nothing: poll if that gets through, and wait before the next attempt. */
  private async makeDo(error: unknown): Promise<void> {
    const delay = retryDelay(this.failures);
    const why = error instanceof Error ? error.message : String(error);
    if (this.polling === undefined && (this.failures < 2 || !(await this.poll()))) {
      this.listener.status({ kind: "offline", why, retry_ms: delay });
      return this.pause(delay);
    }
    this.startPolling();
    return this.pause(Math.max(delay, 4_000));
  }

  private startPolling(): void {
    if (this.polling !== undefined || this.stopped) return;
    this.listener.status({ kind: "polling" });
    this.polling = setInterval(() => void this.poll(), POLL_MS);
  }

  private stopPolling(): void {
    clearInterval(this.polling);
    this.polling = undefined;
  }

  private query(): URLSearchParams {
    return this.pair ? pairParams(this.pair) : new URLSearchParams();
  }

  private async poll(): Promise<boolean> {
    const query = this.query();
    query.set("since", this.cursor);
    try {
      const live = await request<Live>(`${this.origin}/api/live?${query}`, { signal: AbortSignal.timeout(5_000) });
      if (this.stopped) return false;
      this.cursor = live.cursor;
      this.listener.polled(live);
      return true;
    } catch {
      this.stopPolling();
      return false;
    }
  }

  /** Read one stream to its end; `heard` says whether it told anything. */
  private async stream(): Promise<{ heard: boolean; error: unknown }> {
    const attempt = new AbortController();
    this.attempt = attempt;
    const watch = new Watchdog(SILENCE_MS, () => attempt.abort(new Error("The stream fell silent.")));
    let heard = false;
    try {
      const response = await this.open(attempt.signal);
      const parser = new Parser();
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { heard, error: new Error("The server ended the stream.") };
        watch.feed();
        for (const message of parser.feed(value)) {
          if (!heard) this.opened();
          heard = true;
          this.deliver(message);
        }
      }
    } catch (error) {
      return { heard, error };
    } finally {
      watch.stop();
      attempt.abort();
    }
  }

  private async open(signal: AbortSignal): Promise<Response> {
    const query = this.query();
    query.set("backfill_s", String(BACKFILL_S));
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.lastId) headers["last-event-id"] = this.lastId;
    let response: Response;
    try {
      response = await fetch(`${this.origin}/api/stream?${query}`, { headers, signal, cache: "no-store" });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw new ApiError(0, error instanceof TypeError ? "The dashboard's server does not answer." : String(error));
    }
    if (!response.ok) {
      const body: unknown = await response.json().catch(() => null);
      const said = body && typeof body === "object" && "error" in body ? String(body.error) : `The server answered ${response.status}.`;
      throw new ApiError(response.status, said);
    }
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      throw new ApiError(response.status, "Something between this page and the server does not let the stream through.");
    }
    return response;
  }

  private opened(): void {
    this.stopPolling();
    this.listener.status({ kind: "open" });
  }

  private deliver(message: Message): void {
    const event = eventOf(message);
    if (event) this.listener.event(event);
    if (message.id !== null) this.lastId = message.id;
  }
}

/** Calls `bark` when it has not been fed for `ms`. */
class Watchdog {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly ms: number,
    private readonly bark: () => void,
  ) {
    this.feed();
  }

  feed(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.bark, this.ms);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
