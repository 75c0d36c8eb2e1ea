"use client";

import { type FormEvent, useState } from "react";
import { Button, Dialog } from "@/components/ui";
import { setThresholds, useLive } from "@/lib/live/store";
import { type Thresholds, isThresholds } from "@/lib/prefs";

const FIELD = "figures mt-1 h-10 w-full rounded-control border border-hairline-strong bg-solid px-3 text-ink";

function Form({ now, onDone }: { now: Thresholds; onDone: () => void }) {
  const [ok, setOk] = useState(String(now[0]));
  const [slow, setSlow] = useState(String(now[1]));
  const own = useLive((s) => s.ownThresholds);
  const wanted: Thresholds = [Number(ok), Number(slow)];
  const valid = isThresholds(wanted);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!valid) return;
    setThresholds(wanted);
    onDone();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <p className="text-ink-2">Latencies under the first are good, up to the second fair, above it slow. Kept in this browser.</p>
      <div className="grid grid-cols-2 gap-4">
        <label className="text-label font-medium text-ink-2">
          Good under, ms
          <input className={FIELD} inputMode="decimal" value={ok} onChange={(event) => setOk(event.target.value)} aria-invalid={!valid} autoFocus />
        </label>
        <label className="text-label font-medium text-ink-2">
          Slow above, ms
          <input className={FIELD} inputMode="decimal" value={slow} onChange={(event) => setSlow(event.target.value)} aria-invalid={!valid} />
        </label>
      </div>
      <p role="status" className="min-h-4 text-label text-bad">{valid ? "" : "Two numbers above 0 are expected, the second above the first."}</p>
      <div className="flex justify-end gap-2">
        <Button variant="quiet" disabled={!own} onClick={() => (setThresholds(null), onDone())}>Use the server&rsquo;s</Button>
        <Button variant="primary" type="submit" disabled={!valid}>Apply</Button>
      </div>
    </form>
  );
}

/** The viewer's own thresholds. */
export function ThresholdsDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const now = useLive((s) => s.thresholds);
  return (
    <Dialog open={open} onClose={onClose} title="Latency thresholds">
      <Form now={now} onDone={onClose} />
    </Dialog>
  );
}
