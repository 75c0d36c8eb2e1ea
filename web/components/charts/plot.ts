"use client";

/** uPlot as a frame: it keeps axes, scales, cursor and selection, and the charts draw into it themselves. */

import { useEffect, useLayoutEffect, useRef } from "react";
import uPlot from "uplot";
import { type Room, type Span, roomFor, steady } from "@/lib/scale";
import type { Palette } from "./palette";

export interface AxisSpec {
  scale: string;
  side: "bottom" | "left" | "right";
  /** Pixels the axis takes; fixed, so that plots stay aligned and still. */
  size: number;
  color?: (palette: Palette) => string;
  splits?: (span: Span, room: number) => number[];
  /** `step` is the distance between two ticks. */
  label: (value: number, step: number) => string;
  /** Least pixels between two ticks. */
  space?: number;
  time?: boolean;
  grid?: boolean;
}

/** What a chart draws with: a clipped context and the way from values to its pixels. */
export interface Pen {
  context: CanvasRenderingContext2D;
  palette: Palette;
  /** Canvas pixels of what is drawn one pixel wide. */
  ratio: number;
  left: number;
  top: number;
  width: number;
  height: number;
  place: (scale: string) => (value: number) => number;
}

export interface Spot {
  scale: string;
  x: number;
  y: number;
  color: string;
}

/** What an axis shows: a fixed span, or what the data needs with some room, moving rarely. */
export type Reach = Span | { data: Span | null; room: Room };

export interface PlotSpec {
  /** By scale; "x" is the horizontal one, the first of the others is what the pointer's height means. */
  reach: Record<string, Reach>;
  palette: Palette;
  draw: (pen: Pen) => void;
  /** Where the vertical cursor stands when the pointer is elsewhere; null hides it. */
  cursorX?: number | null;
  spots?: Spot[];
  onHover?: (x: number | null, y: number | null) => void;
  onSelect?: (from: number, to: number) => void;
  onReset?: () => void;
  /** The pointer holds the chart: the data under it should stand still. */
  onHold?: (held: boolean) => void;
}

/** What the plot's callbacks read: the newest spec, and the spans that its axes show for it. */
interface Now {
  spec: PlotSpec;
  spans: Record<string, Span>;
  /** What the moving axes are made for. */
  made: Record<string, Span>;
}

const FONT_PX = 11;
const LEAST_DRAG_PX = 6;
const SIDE = { bottom: 2, left: 3, right: 1 } as const;

/** Work out the spans to show next; an axis without data stays where it is. */
function settle(now: Now): void {
  now.spans = {};
  for (const [scale, wanted] of Object.entries(now.spec.reach)) {
    if (Array.isArray(wanted)) {
      now.spans[scale] = wanted;
      continue;
    }
    if (wanted.data) now.made[scale] = steady(now.made[scale] ?? null, wanted.data);
    now.spans[scale] = roomFor(now.made[scale] ?? [0, 1], wanted.room);
  }
}

function axis(spec: AxisSpec, now: () => Now): uPlot.Axis {
  return {
    scale: spec.scale,
    side: SIDE[spec.side],
    size: spec.size * now().spec.palette.zoom,
    gap: 6,
    space: (spec.space ?? 40) * now().spec.palette.zoom,
    font: `${FONT_PX * now().spec.palette.zoom}px ${now().spec.palette.font}`,
    stroke: () => spec.color?.(now().spec.palette) ?? now().spec.palette.ink3,
    grid: { show: spec.grid ?? true, stroke: () => now().spec.palette.grid, width: 1 },
    ticks: { show: false },
    ...(spec.splits && {
      splits: (u: uPlot) => {
        const room = spec.side === "bottom" ? u.over.clientWidth : u.over.clientHeight;
        return spec.splits!(now().spans[spec.scale]!, room / now().spec.palette.zoom);
      },
    }),
    values: (_u: uPlot, splits: number[]) => {
      const step = splits.length > 1 ? splits[1]! - splits[0]! : 0;
      return splits.map((value) => spec.label(value, step));
    },
  };
}

function pen(u: uPlot, palette: Palette): Pen {
  const { left, top, width, height } = u.bbox;
  return {
    context: u.ctx,
    palette,
    ratio: uPlot.pxRatio * palette.zoom,
    left,
    top,
    width,
    height,
    place: (scale) => {
      const { min, max } = u.scales[scale]!;
      const length = max! - min!;
      return scale === "x" ? (value) => left + ((value - min!) / length) * width : (value) => top + height - ((value - min!) / length) * height;
    },
  };
}

function build(root: HTMLElement, axes: readonly AxisSpec[], now: () => Now): uPlot {
  const scales = Object.keys(now().spans);
  let hovering = false;
  const plot = new uPlot(
    {
      width: root.clientWidth,
      height: root.clientHeight,
      ms: 1,
      padding: [10, axes.some(({ side }) => side === "right") ? 0 : 14, 0, 0],
      legend: { show: false },
      scales: Object.fromEntries(
        scales.map((name) => [name, { time: axes.some((each) => each.scale === name && each.time), range: () => now().spans[name]! }]),
      ),
      axes: axes.map((each) => axis(each, now)),
      series: [{}, ...scales.filter((name) => name !== "x").map((scale) => ({ scale, paths: () => null, points: { show: false } }))],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: now().spec.onSelect !== undefined, y: false, setScale: false, dist: LEAST_DRAG_PX },
        bind: {
          dblclick: () => () => {
            now().spec.onReset?.();
            return null;
          },
          mousedown: (_u, _target, handler) => (event) => {
            now().spec.onHold?.(true);
            window.addEventListener("mouseup", () => now().spec.onHold?.(false), { once: true });
            handler(event);
            return null;
          },
          mouseenter: (_u, _target, handler) => (event) => {
            hovering = true;
            handler(event);
            return null;
          },
          mouseleave: (_u, _target, handler) => (event) => {
            hovering = false;
            handler(event);
            now().spec.onHover?.(null, null);
            return null;
          },
        },
      },
      hooks: {
        draw: [
          (u) => {
            u.ctx.save();
            u.ctx.beginPath();
            u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
            u.ctx.clip();
            now().spec.draw(pen(u, now().spec.palette));
            u.ctx.restore();
          },
        ],
        setCursor: [
          (u) => {
            const { left, top } = u.cursor;
            if (!hovering || left === undefined || left < 0) return;
            now().spec.onHover?.(u.posToVal(left, "x"), u.posToVal(top ?? 0, scales.find((name) => name !== "x")!));
          },
        ],
        setSelect: [
          (u) => {
            const { left, width } = u.select;
            if (width < LEAST_DRAG_PX) return;
            now().spec.onSelect?.(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    data(now().spans),
    root,
  );
  followTouch(plot, now);
  return plot;
}

/** uPlot needs values to have scales; these are the corners of what the chart shows. */
function data(spans: Record<string, Span>): uPlot.AlignedData {
  const others = Object.keys(spans).filter((name) => name !== "x");
  return [[...spans.x!], ...others.map((name) => [...spans[name]!])];
}

/** A finger moves the cursor sideways; up and down still scrolls the page. */
function followTouch(plot: uPlot, now: () => Now): void {
  plot.over.style.touchAction = "pan-y pinch-zoom";
  const move = (event: PointerEvent) => {
    if (event.pointerType !== "touch") return;
    const box = plot.over.getBoundingClientRect();
    const left = Math.min(box.width, Math.max(0, event.clientX - box.left));
    const first = Object.keys(now().spans).find((name) => name !== "x")!;
    plot.setCursor({ left, top: event.clientY - box.top }, false);
    now().spec.onHover?.(plot.posToVal(left, "x"), plot.posToVal(event.clientY - box.top, first));
  };
  plot.over.addEventListener("pointerdown", move);
  plot.over.addEventListener("pointermove", move);
}

function placeSpots(plot: uPlot, spots: readonly Spot[], pool: HTMLElement[]): void {
  while (pool.length < spots.length) {
    const dot = document.createElement("div");
    dot.className = "plot-spot";
    plot.over.append(dot);
    pool.push(dot);
  }
  pool.forEach((dot, i) => {
    const spot = spots[i];
    dot.hidden = !spot || !Number.isFinite(spot.x) || !Number.isFinite(spot.y);
    if (!spot || dot.hidden) return;
    dot.style.transform = `translate(${plot.valToPos(spot.x, "x")}px, ${plot.valToPos(spot.y, spot.scale)}px)`;
    dot.style.backgroundColor = spot.color;
  });
}

function placeCursor(plot: uPlot, x: number | null | undefined): void {
  if (x === undefined || plot.over.matches(":hover")) return;
  const span = plot.scales.x!;
  const inside = x !== null && x >= span.min! && x <= span.max!;
  plot.setCursor(inside ? { left: plot.valToPos(x, "x"), top: 0 } : { left: -10, top: -10 }, false);
}

/** Keep a plot in the element that the returned ref is on; it redraws when `spec` is another one. */
export function usePlot(axes: readonly AxisSpec[], spec: PlotSpec | null) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const spots = useRef<HTMLElement[]>([]);
  const latest = useRef<Now | null>(null);
  const ready = spec !== null;
  const { reach, palette, draw, cursorX, spots: marked } = spec ?? {};

  useLayoutEffect(() => {
    if (spec) latest.current = { spans: {}, made: {}, ...latest.current, spec };
  });

  useEffect(() => {
    const element = root.current;
    if (!element || !ready || !latest.current) return;
    settle(latest.current);
    const made = build(element, axes, () => latest.current!);
    plot.current = made;
    spots.current = [];
    const resized = new ResizeObserver(() => {
      if (element.clientWidth && element.clientHeight) made.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [axes, ready]);

  useEffect(() => {
    if (!reach || !draw || !palette || !latest.current) return;
    settle(latest.current);
    plot.current?.setData(data(latest.current.spans));
  }, [reach, draw, palette]);

  useEffect(() => {
    const current = plot.current;
    if (!current) return;
    placeCursor(current, cursorX);
    placeSpots(current, marked ?? [], spots.current);
  }, [cursorX, marked, reach, draw]);

  return root;
}
