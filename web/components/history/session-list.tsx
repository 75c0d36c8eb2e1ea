"use client";

import { FolderClock, Search, SearchX } from "lucide-react";
import Link from "next/link";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Disconnected } from "@/components/common/notice";
import { Button, Card, Command, EmptyState, ErrorState, Skeleton } from "@/components/ui";
import type { Session, SessionList as Sessions } from "@/lib/api";
import { bytes, count, dateTime, duration } from "@/lib/format";
import { sessionsUrl } from "@/lib/history/urls";
import { useApi } from "@/lib/history/use-api";
import { viewHref } from "@/lib/history/view-url";
import { SessionBadges } from "./session-badges";

const PAGE = 50;
const EVERY_MS = 5000;
const TYPING_MS = 200;

/** Every session there is, the newest first; typing filters, arrow keys move, Enter opens. */
export function SessionList() {
  const [typed, setTyped] = useState("");
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const { data, failure, pending, reload } = useApi<Sessions>(sessionsUrl(search, limit), EVERY_MS);

  useEffect(() => {
    const timer = setTimeout(() => setSearch(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-title font-semibold">
          Sessions <span className="figures font-normal text-ink-3">{data ? count(data.total) : ""}</span>
        </h1>
        <SearchField value={typed} onChange={setTyped} />
      </div>
      {failure && data && <Disconnected failure={failure} />}
      <Card body="">
        {!data && failure && (
          <ErrorState title="The sessions cannot be listed" what={failure.message} fix="Is webd running? The page tries again by itself." onRetry={reload} />
        )}
        {!data && !failure && <Loading />}
        {data && data.sessions.length === 0 && <Nothing search={search} />}
        {data && data.sessions.length > 0 && <Table sessions={data.sessions} />}
      </Card>
      {data && data.total > data.sessions.length && (
        <Button className="self-center" disabled={pending} onClick={() => setLimit(limit + PAGE)}>
          Show more ({count(data.total - data.sessions.length)} left)
        </Button>
      )}
    </div>
  );
}

function SearchField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <label className="relative w-full sm:w-80">
      <span className="sr-only">Search sessions by name, node or note</span>
      <Search aria-hidden className="pointer-events-none absolute top-2.5 left-3 size-4 text-ink-3" />
      <input
        ref={field}
        type="search"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        placeholder="Name, node or note  ( / )"
        className="h-9 w-full rounded-control border border-hairline-strong/60 bg-solid pr-3 pl-9 placeholder:text-ink-3"
      />
    </label>
  );
}

const HEAD = "px-4 py-2.5 text-left text-label font-medium whitespace-nowrap text-ink-3";
const NUMBER = "figures hidden px-4 py-3 text-right whitespace-nowrap md:table-cell";

function Table({ sessions }: { sessions: Session[] }) {
  return (
    <table className="w-full border-collapse" onKeyDown={moveFocus}>
      <caption className="sr-only">Sessions, the newest first</caption>
      <thead>
        <tr className="border-b border-hairline">
          <th scope="col" className={HEAD}>Session</th>
          <th scope="col" className={`${HEAD} hidden lg:table-cell`}>Started</th>
          {["Duration", "Frames", "Drops", "Size", "Notes"].map((name) => (
            <th key={name} scope="col" className={`${HEAD} hidden text-right md:table-cell`}>{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>{sessions.map((session) => <Row key={session.id} session={session} />)}</tbody>
    </table>
  );
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

function Row({ session }: { session: Session }) {
  const { first_ms: first, last_ms: last } = session;
  const length = first === null || last === null ? null : last - first;
  const frames = sum(session.pairs.map((pair) => pair.frames));
  const drops = sum(session.pairs.map((pair) => pair.drops));
  return (
    <tr className="relative border-b border-hairline transition-colors duration-150 last:border-0 focus-within:bg-info-soft hover:bg-info-soft">
      <th scope="row" className="w-full max-w-0 px-4 py-3 text-left font-normal">
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
          <Link href={viewHref({ id: session.id, pair: null, range: null, signals: [] })} className="max-w-full min-w-0 truncate rounded-sm font-semibold after:absolute after:inset-0" title={session.id}>
            {session.id}
          </Link>
          <span className="flex flex-wrap gap-1.5"><SessionBadges session={session} /></span>
        </span>
        <span className="mt-1 block truncate text-label text-ink-3">
          {session.why ?? session.node ?? "no node"}
          <span className="figures md:hidden">
            {`${length === null ? "" : ` · ${duration(length)}`} · ${count(frames)} frames, ${count(drops)} dropped · ${bytes(session.size_bytes)}`}
          </span>
        </span>
      </th>
      <td className="figures hidden px-4 py-3 whitespace-nowrap lg:table-cell">{dateTime(first ?? session.created_ms)}</td>
      <td className={NUMBER}>{length === null ? "–" : duration(length)}</td>
      <td className={NUMBER}>{session.why ? "–" : count(frames)}</td>
      <td className={NUMBER}>{session.why ? "–" : count(drops)}</td>
      <td className={NUMBER}>{bytes(session.size_bytes)}</td>
      <td className={NUMBER}>{session.notes ? count(session.notes) : ""}</td>
    </tr>
  );
}

/** Arrow keys, Home and End go from session to session. */
function moveFocus(event: KeyboardEvent<HTMLTableElement>): void {
  const links = [...event.currentTarget.querySelectorAll<HTMLAnchorElement>("tbody a")];
  const here = links.indexOf(document.activeElement as HTMLAnchorElement);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return;
  event.preventDefault();
  links[to].focus();
}

function Loading() {
  return (
    <div role="status" aria-label="Loading sessions" className="flex flex-col gap-3 p-4">
      {[0, 1, 2, 3, 4].map((row) => <Skeleton key={row} className="h-12" />)}
    </div>
  );
}

function Nothing({ search }: { search: string }) {
  if (search) {
    return (
      <EmptyState icon={SearchX} title="No session matches">
        Nothing has {JSON.stringify(search)} in its name, its node or its notes.
      </EmptyState>
    );
  }
  return (
    <EmptyState icon={FolderClock} title="No session yet" action={<Command>./scripts/dev_run.sh</Command>}>
      A session begins when a collector starts. This records one with simulated devices:
    </EmptyState>
  );
}
