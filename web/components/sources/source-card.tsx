import { CircleCheck, CircleHelp, CircleOff, FlaskConical, Timer } from "lucide-react";
import { Badge, Card, Command, type Tone, cn } from "@/components/ui";
import type { Plain, Source, SourceValue } from "@/lib/api";
import { bytes, number } from "@/lib/format";
import { HEALTH, type Health, age, healthOf, uncertainty } from "@/lib/sources/health";

const LOOK: Record<Health, { tone: Tone; icon: typeof CircleCheck }> = {
  up: { tone: "ok", icon: CircleCheck },
  stale: { tone: "warn", icon: Timer },
  absent: { tone: "bad", icon: CircleOff },
  unknown: { tone: "neutral", icon: CircleHelp },
};

interface Props {
  source: Source;
  /** How long ago, in ms, its facts came from webd. */
  since: number;
  /** webd does not answer: the facts are from before. */
  away: boolean;
}

/** How one source fares, or some of them alike, by a word, a shape and a colour. */
export function HealthBadge({ health, of }: { health: Health; of?: number }) {
  const { tone, icon } = LOOK[health];
  return <Badge tone={tone} icon={icon} title={HEALTH[health].means}>{of === undefined ? HEALTH[health].word : `${of} ${HEALTH[health].word}`}</Badge>;
}

export function SimulatedBadge() {
  return <Badge tone="warn" icon={FlaskConical} title="its readings are made up">simulated</Badge>;
}

/** One source: how it fares, how old and how sure its last reading is, and what it read. */
export function SourceCard({ source, since, away }: Props) {
  return (
    <Card
      className={cn("transition-opacity duration-150", away && "opacity-60")}
      title={<span className="break-all">{source.source}</span>}
      note={<span className="break-all">{source.dev ?? source.stream}</span>}
      actions={
        <span className="flex flex-wrap gap-1.5">
          {source.sim && <SimulatedBadge />}
          <HealthBadge health={healthOf(source)} />
        </span>
      }
    >
      <SourceBody source={source} since={since} />
    </Card>
  );
}

/** What is known of a source under its name. */
export function SourceBody({ source, since }: { source: Source; since: number }) {
  return (
    <>
      {(source.why || source.fix) && <Why source={source} />}
      {source.last_ms !== null && <Facts source={source} since={since} />}
      {source.values.length > 0 && <Values values={source.values} />}
    </>
  );
}

function Why({ source }: { source: Source }) {
  const bad = healthOf(source) === "absent";
  return (
    <div className="mb-3 flex flex-col gap-2">
      {source.why && <p className={cn("break-words", bad ? "text-bad" : "text-ink-2")}>{source.why}</p>}
      {source.fix && (
        <div>
          <p className="mb-1 text-label font-medium text-ink-3">What mends it</p>
          <Command>{source.fix}</Command>
        </div>
      )}
    </div>
  );
}

function Facts({ source, since }: { source: Source; since: number }) {
  const old = source.age_ms === null ? null : source.age_ms + since;
  const facts: [string, string, string][] = [
    ["Age", age(old), "how long ago its last reading was"],
    ["Rate", source.rate_hz === null ? "–" : `${number(source.rate_hz)} Hz`, "readings a second"],
    ["Uncertainty", source.unc_ms === null ? "–" : uncertainty(source.unc_ms), "how far the time of a reading may be off"],
  ];
  return (
    <dl className="figures grid grid-cols-3 gap-3 rounded-control bg-sunken px-3 py-2">
      {facts.map(([name, value, means]) => (
        <div key={name} className="min-w-0" title={means}>
          <dt className="text-label text-ink-3">{name}</dt>
          <dd className="truncate font-medium" data-fact={name}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Values({ values }: { values: SourceValue[] }) {
  return (
    <dl className="mt-3 grid max-h-80 grid-cols-1 overflow-y-auto" tabIndex={values.length > 9 ? 0 : undefined}>
      {values.map(({ key, value, unit, help }) => isTable(value) ? <Table key={key} name={key} help={help} rows={value} /> : (
        <div key={key} title={help ?? undefined} className="flex min-w-0 items-baseline justify-between gap-3 border-b border-hairline py-1.5 last:border-0">
          <dt className="min-w-0 truncate text-ink-2">{key}</dt>
          <dd className="figures max-w-[60%] shrink-0 truncate font-medium" data-value={key}>
            {unit === "B" && typeof value === "number" ? (
              <span title={`${value.toLocaleString("en-US")} B`}>{bytes(value)}</span>
            ) : (
              <>
                {shown(value)}
                {unit && typeof value === "number" && <span className="ml-1 text-label font-normal text-ink-3">{unit}</span>}
              </>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** A value that is a table, such as a line per core. */
function Table({ name, help, rows }: { name: string; help: string | null; rows: Rows }) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    <div title={help ?? undefined} className="min-w-0 border-b border-hairline py-1.5 last:border-0">
      <dt className="text-ink-2">{name}</dt>
      <dd className="mt-1 overflow-x-auto" data-value={name}>
        {rows.length === 0 && <span className="text-ink-3">no rows</span>}
        {rows.length > 0 && (
          <table className="figures w-full text-label">
            <thead>
              <tr className="text-ink-3">
                {columns.map((column) => <th key={column} scope="col" className="px-2 py-0.5 text-right font-medium whitespace-nowrap first:pl-0 first:text-left last:pr-0">{column}</th>)}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, at) => (
                <tr key={at}>
                  {columns.map((column) => <td key={column} className="px-2 py-0.5 text-right whitespace-nowrap first:pl-0 first:text-left last:pr-0">{shown(row[column] ?? null)}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </dd>
    </div>
  );
}

type Rows = Record<string, Plain>[];

function isTable(value: SourceValue["value"]): value is Rows {
  return Array.isArray(value) && value.every((row) => row !== null && typeof row === "object");
}

function shown(value: SourceValue["value"]): string {
  if (value === null) return "absent";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  if (typeof value === "object") return JSON.stringify(value);
  return Number.isInteger(value) ? value.toLocaleString("en-US") : number(value, 4);
}
