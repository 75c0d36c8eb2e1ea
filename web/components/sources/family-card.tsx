import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { Card, cn } from "@/components/ui";
import type { Source } from "@/lib/api";
import { deviceName } from "@/lib/sources/families";
import { type Health, HEALTH, age, healthOf } from "@/lib/sources/health";
import { HealthBadge, SimulatedBadge, SourceBody } from "./source-card";

interface Props {
  members: Source[];
  since: number;
  away: boolean;
}

/** Many devices of one source: a line each, which opens to all that is known of it. */
export function FamilyCard({ members, since, away }: Props) {
  const [wanted, setWanted] = useState("");
  const found = members.filter((member) => `${deviceName(member)} ${member.dev ?? ""}`.toLowerCase().includes(wanted.trim().toLowerCase()));
  const { source, stream } = members[0]!;
  return (
    <Card
      className={cn("transition-opacity duration-150 md:col-span-2 xl:col-span-3", away && "opacity-60")}
      title={<span className="break-all">{source}</span>}
      note={`${members.length} devices in ${stream}`}
      actions={<Counts members={members} />}
    >
      <input
        type="search"
        aria-label={`Search devices of ${source}`}
        placeholder="Search by name or identity"
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
        className="mb-3 h-9 w-full rounded-control border border-hairline-strong/60 bg-solid px-3 placeholder:text-ink-3 sm:w-80"
      />
      <ul className="grid grid-cols-1 items-start border-t border-hairline md:grid-cols-2 md:gap-x-8" aria-label={`Devices of ${source}`}>
        {found.map((member) => <Member key={member.dev} source={member} since={since} />)}
      </ul>
      {found.length === 0 && <p className="py-3 text-ink-2">No device has this in its name.</p>}
    </Card>
  );
}

function Counts({ members }: { members: Source[] }) {
  const healths = (Object.keys(HEALTH) as Health[]).map((health) => [health, members.filter((member) => healthOf(member) === health).length] as const);
  return (
    <span className="flex flex-wrap gap-1.5">
      {members.some(({ sim }) => sim) && <SimulatedBadge />}
      {healths.map(([health, of]) => of > 0 && <HealthBadge key={health} health={health} of={of} />)}
    </span>
  );
}

function Member({ source, since }: { source: Source; since: number }) {
  const [open, setOpen] = useState(false);
  const old = source.age_ms === null ? null : source.age_ms + since;
  return (
    <li className="min-w-0 border-b border-hairline">
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary className="flex min-h-11 cursor-pointer list-none items-center gap-2 rounded-sm hover:bg-info-soft [&::-webkit-details-marker]:hidden">
          <ChevronRight aria-hidden className={cn("size-4 shrink-0 text-ink-3 transition-transform duration-150", open && "rotate-90")} />
          <span className="min-w-0 flex-1 truncate font-medium" title={source.dev ?? undefined}>{deviceName(source)}</span>
          <span className="figures text-label whitespace-nowrap text-ink-3" title="how long ago its last reading was">{age(old)}</span>
          <HealthBadge health={healthOf(source)} />
        </summary>
        {open && (
          <div className="pb-3 pl-6">
            {source.dev && <p className="mb-2 text-label break-all text-ink-3">{source.dev}</p>}
            <SourceBody source={source} since={since} />
          </div>
        )}
      </details>
    </li>
  );
}
