"use client";

import { useMemo } from "react";
import { useTheme } from "@/components/shell/theme-toggle";

/** The theme's colours as a canvas needs them. */
export interface Palette {
  ink: string;
  ink3: string;
  grid: string;
  hairline: string;
  surface: string;
  latency: string;
  latencyInk: string;
  power: string;
  powerInk: string;
  ok: string;
  warn: string;
  bad: string;
  font: string;
  /** How much larger than usual the page's type is; 1 but on very large screens. */
  zoom: number;
}

export type LineColor = "latency" | "power" | "neutral";

/** Return #rrggbb for the #rgb that a minifier makes of it. */
export function longHex(color: string): string {
  return /^#[0-9a-f]{3}$/i.test(color) ? `#${[...color.slice(1)].map((digit) => digit + digit).join("")}` : color;
}

function read(): Palette {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => longHex(style.getPropertyValue(name).trim());
  return {
    ink: value("--ink"),
    ink3: value("--ink-3"),
    grid: value("--grid"),
    hairline: value("--hairline-strong"),
    surface: value("--surface-solid"),
    latency: value("--latency"),
    latencyInk: value("--latency-ink"),
    power: value("--power"),
    powerInk: value("--power-ink"),
    ok: value("--ok"),
    warn: value("--warn"),
    bad: value("--bad"),
    font: getComputedStyle(document.body).fontFamily,
    zoom: parseFloat(style.fontSize) / 16 || 1,
  };
}

/** Follow the theme's colours; null until the page is alive. */
export function usePalette(): Palette | null {
  const theme = useTheme();
  return useMemo(() => (theme ? read() : null), [theme]);
}

/** Return the colour of a line, or of its words. */
export function lineColor(palette: Palette, color: LineColor, words = false): string {
  if (color === "latency") return words ? palette.latencyInk : palette.latency;
  if (color === "power") return words ? palette.powerInk : palette.power;
  return palette.ink3;
}

/** Return a hex colour with an alpha, 0 to 1. */
export function fade(hex: string, alpha: number): string {
  return `${hex}${Math.round(alpha * 255).toString(16).padStart(2, "0")}`;
}
