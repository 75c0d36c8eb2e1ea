/** The CSV of what the page shows: every frame and drop of the view, units in the names, the session above. */

import type { View } from "./view";

const COLUMNS = ["kind", "time_utc", "t_ms", "lat_ms", "power_w", "energy_j", "frame", "unc_ms", "power_why", "drop_reason", "stage", "sim"];

/** Return a field as RFC 4180 writes it; a text that a spreadsheet would take for a formula is made plain text. */
export function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function number(value: number, decimals: number): string {
  return Number.isNaN(value) ? "" : String(Number(value.toFixed(decimals)));
}

function utc(ms: number): string {
  return new Date(ms).toISOString();
}

function head(view: View): string[] {
  const { hello } = view;
  const sim = view.sim || hello?.sim;
  return [
    `session: ${view.session ?? ""}`,
    `node: ${hello?.node ?? ""}`,
    `pair: ${view.pair?.join(" -> ") ?? ""}`,
    `from: ${utc(view.from)}`,
    `to: ${utc(view.to)}`,
    `frames: ${view.t.length}, drops: ${view.drops.t.length}`,
    `simulated: ${sim ? (hello?.sim_of?.join(" ") ?? "yes") : "no"}`,
  ].map((line) => `# ${line.replace(/[\r\n]+/g, " ")}`);
}

/** Return the whole file; lines end in CRLF. An absent value is an empty field. */
export function csvOf(view: View): string {
  const rows: [number, string][] = [];
  for (let i = 0; i < view.t.length; i++) {
    const t = view.t[i]!;
    const cells = [
      "frame",
      utc(t),
      number(t, 3),
      number(view.lat[i]!, 6),
      number(view.power[i]!, 4),
      number(view.energy[i]!, 6),
      number(view.frame[i]!, 0),
      number(view.unc[i]!, 6),
      field(view.words[view.why[i]!] ?? ""),
      "",
      "",
      view.sim ? "1" : "0",
    ];
    rows.push([t, cells.join(",")]);
  }
  const { drops } = view;
  for (let i = 0; i < drops.t.length; i++) {
    const t = drops.t[i]!;
    const reason = field(view.words[drops.reason[i]!] ?? "");
    const stage = field(view.words[drops.stage[i]!] ?? "");
    rows.push([t, ["drop", utc(t), number(t, 3), "", "", "", number(drops.frame[i]!, 0), "", "", reason, stage, view.sim ? "1" : "0"].join(",")]);
  }
  if (drops.t.length) rows.sort((a, b) => a[0] - b[0]);
  return [...head(view), COLUMNS.join(","), ...rows.map(([, line]) => line), ""].join("\r\n");
}

/** Return a name for the file that is safe everywhere. */
export function csvName(view: View): string {
  const stamp = utc(view.to).slice(0, 19).replaceAll(":", "");
  const parts = [view.session ?? "session", view.pair?.join("-") ?? "", stamp].filter(Boolean);
  return `${parts.join("_").replace(/[^A-Za-z0-9._-]+/g, "-")}.csv`;
}

/** Hand the file to the browser's downloads. */
export function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
