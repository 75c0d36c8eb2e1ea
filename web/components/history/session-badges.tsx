import { CircleDot, Crosshair, FlaskConical, Pin, TriangleAlert } from "lucide-react";
import { Badge } from "@/components/ui";
import type { Session, SessionDetail } from "@/lib/api";

type Facts = Pick<Session, "open" | "current" | "pinned" | "sim" | "why"> & Partial<Pick<SessionDetail, "sim_of">>;

/** What there is to know of a session at a glance, each in a word and a shape. */
export function SessionBadges({ session }: { session: Facts }) {
  const made = session.sim_of?.length ? `made up: ${session.sim_of.join(", ")}` : "its data are made up by simulators";
  return (
    <>
      {session.open && <Badge tone="ok" icon={CircleDot} title="it is being recorded">open</Badge>}
      {session.current && <Badge icon={Crosshair} title="the session that the live page shows">current</Badge>}
      {session.pinned && <Badge icon={Pin} title="retention never deletes it">pinned</Badge>}
      {session.sim && <Badge tone="warn" icon={FlaskConical} title={made}>simulated</Badge>}
      {session.why && <Badge tone="bad" icon={TriangleAlert} title={session.why}>unreadable</Badge>}
    </>
  );
}
