import { cn } from "@/components/ui";
import type { Latency } from "@/lib/api";
import { type Quantity, count, energy, latency, power } from "@/lib/format";

type Color = "latency" | "power" | "neutral";
interface Tile extends Quantity {
  name: string;
  note?: string;
  color: Color;
}

const DASH: Quantity = { value: "–", unit: "" };

function tiles(answer: Latency | null): Tile[] {
  const stats = answer?.stats;
  const ms = (value: number | null | undefined) => (stats ? latency(value) : DASH);
  const error = stats?.percentile_error ? `± ${stats.percentile_error * 100} %` : "";
  return [
    { name: "Frames", ...(stats ? { value: count(stats.n), unit: "" } : DASH), note: answer ? `${count(answer.drops)} dropped` : "", color: "neutral" },
    { name: "Mean", ...ms(stats?.mean_ms), color: "latency" },
    { name: "Median", ...ms(stats?.p50_ms), note: error, color: "latency" },
    { name: "p95", ...ms(stats?.p95_ms), note: error, color: "latency" },
    { name: "p99", ...ms(stats?.p99_ms), note: error, color: "latency" },
    { name: "Worst", ...ms(stats?.max_ms), note: stats?.n ? `best ${latency(stats.min_ms).value} ms` : "", color: "latency" },
    { name: "Power", ...(stats ? power(stats.power_mean_w) : DASH), note: "mean", color: "power" },
    { name: "Energy per frame", ...(stats ? energy(stats.energy_mean_j) : DASH), note: stats?.energy_j ? `${energy(stats.energy_j).value} ${energy(stats.energy_j).unit} in all` : "", color: "power" },
  ];
}

const INK: Record<Color, string> = { latency: "text-latency-ink", power: "text-power-ink", neutral: "text-ink" };

/** The statistics of what is shown, computed by webd over every frame of it. */
export function StatsStrip({ answer, pending }: { answer: Latency | null; pending: boolean }) {
  return (
    <dl aria-label="Statistics of what is shown" aria-busy={pending} className="grid grid-cols-2 gap-3 sm:grid-cols-4 2xl:grid-cols-8">
      {tiles(answer).map(({ name, value, unit, note, color }) => (
        <div key={name} className="glass flex min-h-[5.75rem] min-w-0 flex-col rounded-card px-4 py-3">
          <dt className="text-label font-medium text-ink-3">{name}</dt>
          <dd className="contents">
            <span className={cn("figures text-figure font-semibold whitespace-nowrap", value === "absent" ? "text-title text-ink-3" : INK[color])} data-stat={name}>
              {value}
              {unit && <span className="ml-1 text-body font-medium text-ink-3">{unit}</span>}
            </span>
            <span className="figures min-h-4 truncate text-label text-ink-3">{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
