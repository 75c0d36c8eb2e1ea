import type { Source } from "../api";
import { type Health, healthOf } from "./health";

/** Sources that are shown in one card: one alone, or many devices of the same source. */
export interface Family {
  key: string;
  members: Source[];
}

/** More devices than this of one source share a card. */
const MOST_CARDS = 4;
const ORDER: Health[] = ["absent", "stale", "unknown", "up"];

/** What people call a device: its own name where it tells one, such as a virtual machine, else its identity. */
export function deviceName({ dev, stream, values }: Source): string {
  const name = values.find(({ key }) => key === "name")?.value;
  return typeof name === "string" && name ? name : (dev ?? stream);
}

/** Return the sources in their order, many devices of one source together; among these what needs attention is first. */
export function familiesOf(sources: readonly Source[]): Family[] {
  const kinds = new Map<string, Source[]>();
  for (const each of sources) {
    const key = `${each.source} ${each.stream}`;
    kinds.set(key, [...(kinds.get(key) ?? []), each]);
  }
  return [...kinds].flatMap(([key, members]) =>
    members.length > MOST_CARDS
      ? [{ key, members: members.toSorted(compared) }]
      : members.map((member) => ({ key: `${key} ${member.dev ?? ""}`, members: [member] })),
  );
}

function compared(a: Source, b: Source): number {
  return ORDER.indexOf(healthOf(a)) - ORDER.indexOf(healthOf(b)) || deviceName(a).localeCompare(deviceName(b), "en", { numeric: true });
}
