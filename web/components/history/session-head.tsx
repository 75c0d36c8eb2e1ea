"use client";

import { ChevronDown, ChevronLeft, Download, Radio } from "lucide-react";
import Link from "next/link";
import { useEffect, useRef } from "react";
import { ButtonLink, Select, buttonClass } from "@/components/ui";
import type { Pair, SessionDetail } from "@/lib/api";
import { bytes, count, dateTime, duration, pairName } from "@/lib/format";
import { exportUrl } from "@/lib/history/urls";
import type { View } from "@/lib/history/view-url";
import { SessionBadges } from "./session-badges";

interface Props {
  session: SessionDetail;
  view: View;
  onPair: (pair: Pair) => void;
}

/** Which session this is, its facts in one line, which pair is shown, and what can be taken away. */
export function SessionHead({ session, view, onPair }: Props) {
  return (
    <header className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        <Link href="/sessions/" className="-ml-1 inline-flex items-center gap-0.5 rounded-sm text-label font-medium text-ink-2 hover:text-ink">
          <ChevronLeft aria-hidden className="size-3.5" /> Sessions
        </Link>
        <div className="mt-0.5 flex flex-wrap items-center gap-x-3 gap-y-1.5">
          <h1 className="text-title font-semibold break-all">{session.id}</h1>
          <span className="flex flex-wrap gap-1.5"><SessionBadges session={session} /></span>
        </div>
        <Facts session={session} />
      </div>
      <div className="flex flex-wrap items-center gap-2">
        {session.pairs.length > 1 && <PairSelect session={session} view={view} onPair={onPair} />}
        {session.current && session.open && <ButtonLink href="/" icon={Radio}>Live</ButtonLink>}
        {session.pairs.length > 0 && <Downloads view={view} />}
      </div>
    </header>
  );
}

function Facts({ session }: { session: SessionDetail }) {
  const { first_ms: first, last_ms: last } = session;
  const facts = [
    dateTime(first ?? session.created_ms),
    first !== null && last !== null ? duration(last - first) : null,
    bytes(session.size_bytes),
    session.node,
  ];
  return <p className="figures mt-1 text-ink-2">{facts.filter(Boolean).join(" · ")}</p>;
}

function PairSelect({ session, view, onPair }: Props) {
  const options = session.pairs.map(({ pair, frames }, index) => ({ value: String(index), label: `${pairName(pair)} (${count(frames)})` }));
  const here = session.pairs.findIndex(({ pair }) => pair[0] === view.pair?.[0] && pair[1] === view.pair?.[1]);
  return (
    <Select label="Pair of stages" options={options} value={String(Math.max(0, here))} onChange={(index) => onPair(session.pairs[Number(index)]!.pair)} />
  );
}

/** What can be taken away, of the whole session and of the stretch that is shown. */
function Downloads({ view }: { view: View }) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const node = menu.current;
      if (!node?.open) return;
      const escaped = event instanceof KeyboardEvent && event.key === "Escape";
      if (escaped) node.querySelector("summary")?.focus();
      if (escaped || (event.type === "pointerdown" && !node.contains(event.target as Node))) node.open = false;
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, []);
  const part = view.range ? [{ range: view.range, name: "this range" }] : [];
  const items = [{ range: null, name: "whole session" }, ...part].flatMap(({ range, name }) => [
    { label: `CSV, ${name}`, href: exportUrl(view.id, "csv", view.pair, range) },
    { label: `CapFrameX JSON, ${name}`, href: exportUrl(view.id, "capframex.json", view.pair, range) },
  ]);
  return (
    <details ref={menu} className="relative">
      <summary className={`${buttonClass("primary")} list-none [&::-webkit-details-marker]:hidden`}>
        <Download aria-hidden className="size-4" /> Download <ChevronDown aria-hidden className="size-4" />
      </summary>
      <ul className="absolute right-0 z-20 mt-1.5 w-max min-w-full rounded-control border border-hairline bg-solid p-1 shadow-lg max-sm:right-auto max-sm:left-0">
        {items.map(({ label, href }) => (
          <li key={label}>
            <a download href={href} onClick={() => menu.current?.removeAttribute("open")} className="block rounded-[7px] px-3 py-2 hover:bg-info-soft">
              {label}
            </a>
          </li>
        ))}
      </ul>
    </details>
  );
}
