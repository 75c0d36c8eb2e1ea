import { CircleCheck, CircleHelp, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Badge, Card } from "@/components/ui";
import type { SessionDetail } from "@/lib/api";
import { bytes, clockTime, count, duration } from "@/lib/format";
import { uncertainty } from "@/lib/sources/health";

/** How it was recorded: the streams, the clock they share, the machine. */
export function RecordingCard({ session, className }: { session: SessionDetail; className?: string }) {
  return (
    <Card id="recording" className={className} title="Recording" note={session.version ? `written by version ${session.version}` : "streams, clock, machine"} actions={<ClockBadge session={session} />}>
      <div className="overflow-x-auto" tabIndex={0} role="group" aria-label="Streams">
        <table className="figures w-full border-collapse">
          <caption className="sr-only">Streams of this session</caption>
          <thead>
            <tr className="border-b border-hairline text-label text-ink-3">
              <Head>Stream</Head>
              <Head right>Size</Head>
              <Head right>First</Head>
              <Head right>Length</Head>
              <Head right>Bad lines</Head>
            </tr>
          </thead>
          <tbody>
            {session.streams.map((stream) => (
              <tr key={stream.name} className="border-b border-hairline last:border-0">
                <th scope="row" className="py-2 pr-4 text-left font-medium">{stream.name}</th>
                <Cell>{bytes(stream.size_bytes)}</Cell>
                <Cell>{clockTime(stream.first_ms)}</Cell>
                <Cell>{stream.first_ms === null || stream.last_ms === null ? "–" : duration(stream.last_ms - stream.first_ms)}</Cell>
                <Cell warn={Boolean(stream.bad_lines)}>{stream.bad_lines === null ? "–" : count(stream.bad_lines)}</Cell>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Facts facts={session.host} />
    </Card>
  );
}

function Head({ children, right = false }: { children: ReactNode; right?: boolean }) {
  return <th scope="col" className={`py-2 font-medium whitespace-nowrap ${right ? "pl-4 text-right" : "pr-4 text-left"}`}>{children}</th>;
}

function Cell({ children, warn = false }: { children: ReactNode; warn?: boolean }) {
  return <td className={`py-2 pl-4 text-right whitespace-nowrap ${warn ? "font-semibold text-warn" : ""}`}>{children}</td>;
}

function ClockBadge({ session }: { session: SessionDetail }) {
  const { synchronized, unc_ms: unc } = session.clock ?? { synchronized: null, unc_ms: null };
  const within = unc === null ? "" : `, ${uncertainty(unc)}`;
  if (synchronized === null) return <Badge icon={CircleHelp} title="nobody said whether the host's clock was synchronised">clock unknown{within}</Badge>;
  if (synchronized) return <Badge tone="ok" icon={CircleCheck} title="the host's clock was synchronised">clock synchronised{within}</Badge>;
  return <Badge tone="warn" icon={TriangleAlert} title="times of day may be off; differences within the session are not">clock not synchronised{within}</Badge>;
}

/** What session.json says of the machine; what is not a plain value is shown as it stands there. */
function Facts({ facts }: { facts: Record<string, unknown> | null }) {
  const entries = Object.entries(facts ?? {}).filter(([, value]) => value !== null && value !== "");
  if (entries.length === 0) return null;
  return (
    <dl className="mt-4 grid grid-cols-1 gap-x-6 gap-y-2 border-t border-hairline pt-4 sm:grid-cols-2">
      {entries.map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="text-label text-ink-3">{name.replaceAll("_", " ")}</dt>
          <dd className="break-words">{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
