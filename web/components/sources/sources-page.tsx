"use client";

import { Cpu, SearchX } from "lucide-react";
import { useState } from "react";
import { Disconnected } from "@/components/common/notice";
import { Card, Command, EmptyState, ErrorState, Segmented, Skeleton } from "@/components/ui";
import type { Source, Sources } from "@/lib/api";
import { useApi } from "@/lib/history/use-api";
import { familiesOf } from "@/lib/sources/families";
import { type Health, HEALTH, healthOf } from "@/lib/sources/health";
import { FamilyCard } from "./family-card";
import { SourceCard } from "./source-card";
import { useTicks } from "./use-ticks";

const EVERY_MS = 1000;
type Choice = "all" | "up" | "attention";

/** Every source of the current session: its last values, and for what is absent why, and what mends it. */
export function SourcesPage() {
  const { data, failure, at, reload } = useApi<Sources>("/api/sources", EVERY_MS);
  const [choice, setChoice] = useState<Choice>("all");
  const since = Math.max(0, useTicks() - at);
  const sources = (data?.sources ?? []).filter((source) => chosen(source, choice));
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0">
          <h1 className="text-title font-semibold">Sources</h1>
          <p className="min-h-5 text-ink-2">{data ? summary(data) : ""}</p>
        </div>
        <Segmented<Choice> label="Which sources" value={choice} onChange={setChoice} options={[{ value: "all", label: "All" }, { value: "up", label: "Up" }, { value: "attention", label: "Needs attention" }]} />
      </div>
      {failure && data && <Disconnected failure={failure} />}
      {!data && failure && <Card><ErrorState title="The sources cannot be listed" what={failure.message} fix="Is webd running? The page tries again by itself." onRetry={reload} /></Card>}
      {!data && !failure && <Loading />}
      {data && data.sources.length === 0 && <Card><Nothing session={data.session} /></Card>}
      {data && data.sources.length > 0 && sources.length === 0 && <Card><EmptyState icon={SearchX} title={choice === "up" ? "No source is up" : "Nothing needs attention"} /></Card>}
      <div className="grid grid-cols-1 items-start gap-4 md:grid-cols-2 xl:grid-cols-3">
        {familiesOf(sources).map(({ key, members }) =>
          members.length === 1 ? (
            <SourceCard key={key} source={members[0]!} since={since} away={failure !== null} />
          ) : (
            <FamilyCard key={key} members={members} since={since} away={failure !== null} />
          ),
        )}
      </div>
    </div>
  );
}

function chosen(source: Source, choice: Choice): boolean {
  if (choice === "all") return true;
  const isUp = healthOf(source) === "up";
  return choice === "up" ? isUp : !isUp;
}

/** "5 up, 1 absent, in session dev"; what there is none of is not said. */
function summary({ sources, session }: Sources): string {
  const counts = (Object.keys(HEALTH) as Health[]).map((health) => [health, sources.filter((source) => healthOf(source) === health).length] as const);
  const words = counts.filter(([, found]) => found > 0).map(([health, found]) => `${found} ${HEALTH[health].word}`);
  return [words.join(", "), session ? `in session ${session}` : ""].filter(Boolean).join(" · ");
}

function Loading() {
  return (
    <div role="status" aria-label="Loading sources" className="grid grid-cols-1 gap-4 md:grid-cols-2 xl:grid-cols-3">
      {[0, 1, 2, 3].map((index) => <Skeleton key={index} className="h-64 rounded-card" />)}
    </div>
  );
}

function Nothing({ session }: { session: string | null }) {
  return (
    <EmptyState icon={Cpu} title={session ? "No source has said anything yet" : "No session yet"} action={<Command>{session ? "benchctl doctor" : "./scripts/dev_run.sh"}</Command>}>
      {session
        ? "They show here with their first reading. What this machine could measure, and why not:"
        : "Sources show here when a collector records. This starts some with simulated devices:"}
    </EmptyState>
  );
}
