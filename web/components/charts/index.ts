export { Histogram, type HistogramProps } from "./histogram";
export { fade, type LineColor, lineColor, type Palette, usePalette } from "./palette";
export { Percentiles, type PercentilesProps } from "./percentiles";
export { Scatter, type ScatterProps } from "./scatter";
export { TimeChart, type Line, type TimeChartProps } from "./time-chart";
