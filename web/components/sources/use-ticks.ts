"use client";

import { useEffect, useState } from "react";

const EVERY_MS = 200;

/** The page's steady clock (performance.now), so that ages tick whatever the viewer's time of day is. */
export function useTicks(): number {
  const [now, setNow] = useState(0);
  useEffect(() => {
    const tick = () => setNow(performance.now());
    tick();
    const timer = setInterval(tick, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
