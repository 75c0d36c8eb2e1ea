/** Redraws the same 54,000 frames, moved on by one frame each time, with each library; tells the times in the page. */

import { createElement } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { TimeChart } from "@/components/charts";
import { apply, emptyModel } from "@/lib/live/model";
import { figuresOf, viewOf } from "@/lib/live/view";

const FRAMES = 54_000;
const EXTRA = 200;
const PERIOD_MS = 1000 / 60;
const ROUNDS = 60;

interface Times {
  median_ms: number;
  p95_ms: number;
  max_ms: number;
}

function told(times: number[]): Times {
  const ordered = times.sort((a, b) => a - b);
  const at = (p: number) => Number(ordered[Math.floor((ordered.length - 1) * p)]!.toFixed(2));
  return { median_ms: at(0.5), p95_ms: at(0.95), max_ms: at(1) };
}

/** Reading one pixel back has the canvas drawn before the clock is read. */
function flush(root: HTMLElement): void {
  for (const canvas of root.querySelectorAll("canvas")) canvas.getContext("2d")!.getImageData(0, 0, 1, 1);
}

async function measured(root: HTMLElement, redraw: (round: number) => void | Promise<void>, rounds = ROUNDS): Promise<Times> {
  const times: number[] = [];
  for (let round = 0; round < rounds + 3; round++) {
    await new Promise(requestAnimationFrame);
    const begun = performance.now();
    await redraw(round);
    flush(root);
    if (round >= 3) times.push(performance.now() - begun);
  }
  return told(times);
}

function noise(i: number): number {
  const x = Math.sin(i * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}

const total = FRAMES + EXTRA;
const t = Float64Array.from({ length: total }, (_, i) => 1.7e12 + i * PERIOD_MS);
const lat = Float64Array.from({ length: total }, (_, i) => 10 + Math.sin(i / 3000) + noise(i) + (i % 331 === 0 ? 12 : 0));
const power = Float64Array.from({ length: total }, (_, i) => 240 + 15 * Math.sin(i / 5000) + 2 * noise(i + 0.5));
const element = (id: string) => document.getElementById(id)!;

async function ours(): Promise<Times> {
  const root = createRoot(element("ours"));
  return measured(element("ours"), (round) => {
    const part = (values: Float64Array) => values.subarray(round, round + FRAMES);
    const x = part(t);
    flushSync(() =>
      root.render(
        createElement(TimeChart, {
          label: "bench",
          x,
          lines: [
            { label: "Latency", unit: "ms", axis: "left", color: "latency", y: part(lat) },
            { label: "Power", unit: "W", axis: "right", color: "power", y: part(power) },
          ],
          from: x[0]!,
          to: x[x.length - 1]!,
          breaks: 250,
          gaps: [],
          thresholds: [10, 20],
          className: "chart",
        }),
      ),
    );
    // uPlot draws in a microtask
    return Promise.resolve();
  });
}

async function plain(): Promise<Times> {
  const line = (scale: string, color: string) => ({ scale, stroke: color, width: 1.6, fill: `${color}40` });
  const plot = new uPlot(
    {
      width: 900,
      height: 480,
      ms: 1,
      legend: { show: false },
      scales: { right: {} },
      axes: [{}, {}, { scale: "right", side: 1 }],
      series: [{}, line("y", "#56b4e9"), line("right", "#dd8fba")],
    },
    [[], [], []],
    element("plain"),
  );
  return measured(element("plain"), (round) => {
    const part = (values: Float64Array) => values.subarray(round, round + FRAMES);
    plot.setData([part(t), part(lat), part(power)]);
    return Promise.resolve();
  });
}

async function echarts(sampling: "lttb" | "minmax" | undefined): Promise<Times | string> {
  // only there after `npm install --no-save echarts@6.1.0`
  const name = "echarts";
  const library = await import(/* @vite-ignore */ `/node_modules/${name}/dist/echarts.esm.mjs`).catch(() => null);
  if (!library) return "not installed";
  element("echarts").replaceChildren();
  const chart = library.init(element("echarts"), null, { renderer: "canvas", width: 900, height: 480 });
  const line = (yAxisIndex: number, color: string) => ({ type: "line", yAxisIndex, showSymbol: false, sampling, lineStyle: { width: 1.6, color }, areaStyle: { color: `${color}40` } });
  chart.setOption({ animation: false, xAxis: { type: "time" }, yAxis: [{ type: "value", scale: true }, { type: "value", scale: true }], series: [line(0, "#56b4e9"), line(1, "#dd8fba")] });
  const pairs = (round: number, values: Float64Array) => {
    const flat = new Float64Array(FRAMES * 2);
    for (let i = 0; i < FRAMES; i++) {
      flat[2 * i] = t[round + i]!;
      flat[2 * i + 1] = values[round + i]!;
    }
    return flat;
  };
  const times = await measured(element("echarts"), (round) => {
    chart.setOption({ series: [{ data: pairs(round, lat), dimensions: ["x", "y"] }, { data: pairs(round, power), dimensions: ["x", "y"] }] }, { lazyUpdate: false });
    chart.getZr().flush();
  }, 10);
  chart.dispose();
  return times;
}

async function figures(): Promise<{ view: Times; figures: Times }> {
  const model = emptyModel();
  const column = (values: Float64Array) => [...values];
  const at = Array.from({ length: total }, (_, i) => i);
  const none = at.map(() => null);
  apply(model, { type: "frames", data: { pair: ["a", "b"], at, t_ms: column(t), lat_ms: column(lat), power_w: column(power), energy_j: column(power), frame: none, unc_ms: none, why: none, sim: false } });
  const nothing = document.createElement("div");
  const window = (round: number) => ({ from: t[round]!, to: t[round + FRAMES - 1]! });
  return {
    view: await measured(nothing, (round) => void viewOf(model, window(round))),
    figures: await measured(nothing, (round) => void figuresOf(viewOf(model, window(round)))),
  };
}

function report(results: unknown): Promise<Response> {
  element("result").textContent = JSON.stringify(results, null, 2);
  return fetch("/result", { method: "POST", body: JSON.stringify(results) });
}

async function run(): Promise<void> {
  const results = {
    frames: FRAMES,
    "TimeChart (uPlot's frame, columns of pixels)": await ours(),
    "uPlot's own lines": await plain(),
    "ECharts, every point": await echarts(undefined),
    "ECharts, sampling lttb": await echarts("lttb"),
    "ECharts, sampling minmax": await echarts("minmax"),
    ...(await figures()),
  };
  await report(results);
}

run().catch((error: unknown) => {
  void report({ failed: String(error) });
});
