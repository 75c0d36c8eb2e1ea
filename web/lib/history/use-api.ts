"use client";

import { useCallback, useEffect, useState } from "react";
import { ApiError, request } from "@/lib/api";

/** A request that came to no data; `since` is when the first of them in a row did, on the viewer's clock. */
export interface Failure {
  status: number;
  message: string;
  since: number;
}

export interface Answer<T> {
  data: T | null;
  /** The last request failed; `data`, if any, is from before. */
  failure: Failure | null;
  /** The data belong to an address asked for before this one, or nothing has come yet. */
  pending: boolean;
  /** When the data came, on the page's own steady clock (performance.now). */
  at: number;
  reload: () => void;
}

interface State<T> {
  url: string | null;
  data: T | null;
  failure: Failure | null;
  at: number;
}

const RETRY_MS = 2000;
const HIDDEN_MS = 500;

/** Whether asking again may help by itself. */
const passes = (status: number) => status === 0 || status === 429 || status >= 500;

function failed<T>(old: State<T>, url: string, error: unknown): State<T> {
  const status = error instanceof ApiError ? error.status : 0;
  const message = error instanceof ApiError ? error.message : "The answer was not JSON.";
  const since = old.failure?.status === status ? old.failure.since : Date.now();
  return { ...old, url, failure: { status, message, since } };
}

/**
 * GET an address as JSON, and again every `everyMs` while the page is in sight. Data stay while others are on their
 * way and when a request fails; what may pass is asked again by itself. `url` null asks for nothing.
 */
export function useApi<T>(url: string | null, everyMs: number | null = null): Answer<T> {
  const [state, setState] = useState<State<T>>({ url: null, data: null, failure: null, at: 0 });
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    if (url === null) return;
    const control = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const wait = (ms: number) => {
      timer = setTimeout(() => (document.hidden ? wait(HIDDEN_MS) : void once()), ms);
    };
    const once = async () => {
      try {
        const data = await request<T>(url, { signal: control.signal });
        setState({ url, data, failure: null, at: performance.now() });
        if (everyMs !== null) wait(everyMs);
      } catch (error) {
        if (control.signal.aborted) return;
        setState((old) => failed(old, url, error));
        if (!(error instanceof ApiError) || passes(error.status)) wait(Math.max(RETRY_MS, everyMs ?? 0));
      }
    };
    void once();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [url, everyMs, turn]);

  const reload = useCallback(() => setTurn((old) => old + 1), []);
  return { data: state.data, failure: state.failure, at: state.at, pending: url !== null && state.url !== url, reload };
}
