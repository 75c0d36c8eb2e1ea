"use client";

import { create } from "zustand";

/** The moment under the pointer, one for all charts of a session's page. */
export const useCursor = create<{ t: number | null; setT: (t: number | null) => void }>((set) => ({
  t: null,
  setT: (t) => set({ t }),
}));
