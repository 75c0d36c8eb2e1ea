"use client";

import { Moon, Sun } from "lucide-react";
import { useSyncExternalStore } from "react";
import { IconButton } from "@/components/ui";
import { setTheme, theme, watchTheme } from "@/lib/theme";

/** Follow the theme in force; null until the page is alive. */
export function useTheme() {
  return useSyncExternalStore(watchTheme, theme, () => null);
}

/** Sun in the dark, moon in the light: the icon is where the button leads. */
export function ThemeToggle() {
  const dark = useTheme() === "dark";
  return (
    <IconButton
      icon={dark ? Sun : Moon}
      label={dark ? "Light theme (D)" : "Dark theme (D)"}
      onClick={() => setTheme(dark ? "light" : "dark")}
    />
  );
}
