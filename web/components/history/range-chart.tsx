"use client";

import { type KeyboardEvent, useEffect, useRef } from "react";
import uPlot from "uplot";
import { useTheme } from "@/components/shell/theme-toggle";
import { clockTime, dateTime, number } from "@/lib/format";
import type { Lines } from "@/lib/history/series";

export interface Line {
  /** The column of `Lines`; its band is in the columns `<name>Low` and `<name>High` where there are such. */
  name: string;
  label: string;
  unit: string;
  /** A colour token, as "--latency". */
  color: string;
  side: "left" | "right";
}

export interface Mark {
  t_ms: number;
  name: string;
}

interface Props {
  /** What it shows, for those who cannot see it. */
  label: string;
  lines: Line[];
  data: Lines;
  range: { from: number; to: number };
  height: number;
  gaps?: [number, number][];
  drops?: number[];
  marks?: Mark[];
  onSelect: (from: number, to: number) => void;
  onKey: (event: KeyboardEvent) => void;
}

const SYNC = "history";
const bands = (lines: Line[], data: Lines) => lines.map(({ name }) => `${name}Low` in data);

/** Lines over time with their min-max bands, gaps shaded and never bridged; dragging over it selects a stretch. */
export function RangeChart(props: Props) {
  const { label, lines, data, range, height } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef(props);
  const theme = useTheme();
  const shape = JSON.stringify([lines, bands(lines, data), height, theme]);

  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    const node = host.current;
    if (!node) return;
    const chart = new uPlot(options(node, latest), columns(latest.current), node);
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: node.clientWidth, height: latest.current.height }));
    observer.observe(node);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(columns(latest.current), true);
  }, [data, range.from, range.to, props.gaps, props.drops, props.marks]);

  return (
    <div
      ref={host}
      role="group"
      aria-label={label}
      tabIndex={0}
      onKeyDown={props.onKey}
      className="relative w-full touch-pan-y rounded-md focus-visible:outline-2"
      style={{ height }}
    />
  );
}

function columns({ lines, data }: Props): uPlot.AlignedData {
  const rows: (number | null)[][] = [];
  for (const { name } of lines) {
    rows.push((data[name] ?? []) as (number | null)[]);
    if (`${name}Low` in data) rows.push(data[`${name}Low`] as number[], data[`${name}High`] as number[]);
  }
  return [data.x, ...rows] as uPlot.AlignedData;
}

function token(node: Element, name: string): string {
  return getComputedStyle(node).getPropertyValue(name).trim();
}

function options(node: HTMLElement, latest: { readonly current: Props }): uPlot.Options {
  const { lines, data, height } = latest.current;
  const series: uPlot.Series[] = [{}];
  const filled: uPlot.Band[] = [];
  for (const line of lines) {
    const stroke = token(node, line.color);
    const scale = line.side;
    series.push({ label: line.label, scale, stroke, width: 1.5, points: { size: 4 } });
    if (!(`${line.name}Low` in data)) continue;
    for (const end of ["lowest", "highest"]) {
      series.push({ label: `${line.label} ${end}`, scale, stroke: "transparent", width: 0, points: { show: false } });
    }
    filled.push({ series: [series.length - 1, series.length - 2], fill: faded(stroke) });
  }
  return {
    width: node.clientWidth,
    height,
    ms: 1,
    legend: { show: false },
    padding: [12, lines.some(({ side }) => side === "right") ? 0 : 12, 0, 0],
    series,
    bands: filled,
    scales: { x: { time: true, range: () => spread(latest.current.range) }, ...yScales(lines) },
    axes: axes(node, lines),
    cursor: {
      sync: { key: SYNC, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
    },
    plugins: [annotations(node, latest), readout(node, latest)],
    hooks: { setSelect: [(chart) => selected(chart, latest.current.onSelect)] },
  };
}

const faded = (color: string) => `color-mix(in srgb, ${color} 28%, transparent)`;

/** A moment is shown in the middle of a second, because an axis needs a width. */
function spread({ from, to }: { from: number; to: number }): [number, number] {
  return to > from ? [from, to] : [from - 500, from + 500];
}

function yScales(lines: Line[]): Record<string, uPlot.Scale> {
  const sides = new Set(lines.map(({ side }) => side));
  return Object.fromEntries([...sides].map((side) => [side, { range: roomy }]));
}

const roomy: uPlot.Range.Function = (_, low, high) => {
  if (low === null || high === null) return [0, 1];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
};

function axes(node: HTMLElement, lines: Line[]): uPlot.Axis[] {
  const stroke = token(node, "--ink-3");
  const grid = { stroke: token(node, "--grid"), width: 1 };
  const font = `12px ${getComputedStyle(node).fontFamily}`;
  const common = { stroke, grid, ticks: { show: false }, font };
  const found: uPlot.Axis[] = [{ ...common, space: 90, values: (_, ticks) => timeLabels(ticks) }];
  for (const side of ["left", "right"] as const) {
    const line = lines.find((candidate) => candidate.side === side);
    if (!line) continue;
    found.push({
      ...common,
      scale: side,
      side: side === "left" ? 3 : 1,
      size: 56,
      grid: { ...grid, show: side === "left" },
      values: (_, ticks) => ticks.map((tick) => number(tick)),
    });
  }
  return found;
}

/** Labels no finer than the ticks are apart; the date where a day begins. */
export function timeLabels(ticks: number[]): string[] {
  const step = ticks.length > 1 ? (ticks[1] as number) - (ticks[0] as number) : 1000;
  if (step >= 86_400_000) return ticks.map((tick) => dateTime(tick).slice(0, 10));
  return ticks.map((tick) => (step >= 60_000 ? clockTime(tick).slice(0, 5) : clockTime(tick, step < 1000)));
}

function selected(chart: uPlot, onSelect: Props["onSelect"]): void {
  const { left, width } = chart.select;
  if (width < 4) return;
  const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onSelect(from, to);
}

/** Gaps shaded, dropped frames as ticks at the bottom, bookmarks as lines with a flag. */
function annotations(node: HTMLElement, latest: { readonly current: Props }): uPlot.Plugin {
  const draw = (chart: uPlot) => {
    const { ctx, bbox } = chart;
    const { gaps = [], drops = [], marks = [] } = latest.current;
    const px = (t: number) => chart.valToPos(t, "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = token(node, "--info-soft");
    for (const [from, to] of gaps) ctx.fillRect(px(from), bbox.top, Math.max(1, px(to) - px(from)), bbox.height);
    ctx.fillStyle = token(node, "--bad");
    const size = 5 * devicePixelRatio;
    for (const t of drops) ctx.fillRect(px(t) - size / 4, bbox.top + bbox.height - size * 1.6, size / 2, size * 1.6);
    ctx.fillStyle = ctx.strokeStyle = token(node, "--ink-2");
    for (const { t_ms } of marks) {
      const x = px(t_ms);
      ctx.fillRect(x, bbox.top, devicePixelRatio, bbox.height);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x + size * 1.6, bbox.top + size * 0.8);
      ctx.lineTo(x, bbox.top + size * 1.6);
      ctx.fill();
    }
    ctx.restore();
  };
  return { hooks: { draw: [draw] } };
}

/** The values under the cursor, in a row that is always there. */
function readout(node: HTMLElement, latest: { readonly current: Props }): uPlot.Plugin {
  const show = (chart: uPlot) => {
    const target = node.parentElement?.querySelector("[data-readout]");
    if (!target) return;
    const index = chart.cursor.idx;
    target.textContent = index === null || index === undefined ? "" : valuesAt(latest.current, index);
  };
  return { hooks: { setCursor: [show] } };
}

function valuesAt({ lines, data }: Props, index: number): string {
  const t = data.x[index];
  if (t === undefined) return "";
  const words = lines.map(({ name, label, unit }) => {
    const value = data[name]?.[index];
    if (value === null || value === undefined) return `${label} –`;
    const [low, high] = [data[`${name}Low`]?.[index], data[`${name}High`]?.[index]];
    const band = typeof low === "number" && typeof high === "number" ? ` (${number(low)} to ${number(high)})` : "";
    return `${label} ${number(value)}${band} ${unit}`.trim();
  });
  return [clockTime(t, true), ...words].join("   ");
}
