"use client";

import { Activity } from "lucide-react";
import { Card, Command, EmptyState } from "@/components/ui";
import { useLive } from "@/lib/live/store";

/** Nothing is recording: what to start. */
export function FirstRun() {
  return (
    <Card className="animate-rise">
      <EmptyState icon={Activity} title="No session yet" className="py-16">
        <p>Start a recording and this page shows it within a second. To see everything at work with simulated devices:</p>
        <div className="mx-auto mt-4 max-w-md"><Command>./scripts/dev_run.sh</Command></div>
        <p className="mt-5">With your own pipeline, start the telemetry daemon, feed frames from a probe, and pair two of its stages:</p>
        <div className="mx-auto mt-4 max-w-md"><Command>muxd --session demo --pair ingress encoded</Command></div>
      </EmptyState>
    </Card>
  );
}

/** A session is there, but not one latency: what is missing. */
export function NoFrames() {
  const session = useLive((s) => s.hello?.session);
  const muxd = useLive((s) => s.state?.muxd);
  return (
    <Card className="animate-rise">
      <EmptyState icon={Activity} title="No frame has been paired yet" className="py-16">
        {muxd === "live" ? (
          <p>muxd is reading this session and has not seen one frame pass both stages. Its log says which stages it has seen.</p>
        ) : (
          <>
            <p>No muxd pairs the stages of this session. Start it:</p>
            <div className="mx-auto mt-4 max-w-md"><Command>{`muxd --session ${session ?? "NAME"} --pair ingress encoded`}</Command></div>
          </>
        )}
      </EmptyState>
    </Card>
  );
}
