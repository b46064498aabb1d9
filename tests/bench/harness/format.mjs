// How the benchmarks print figures.
export const thousands = (value) => Math.round(value).toLocaleString("en-US");
export const rounded = (value) => (value < 10 ? value.toFixed(1) : thousands(value));
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
export const percent = (part) => `${(part * 100).toFixed(1)} %`;
export const ms = (figure) => figure.toFixed(figure < 10 ? 2 : 0);

export function median(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

export function spreadOf(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (part) => sorted[Math.ceil(part * sorted.length) - 1];
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) };
}

/** Lines of cells as text: the first `left` columns start alike, the others end alike. */
export function aligned(lines, left) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) =>
    line
      .map((cell, column) => (column < left ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join("  ")
      .trimEnd(),
  );
}
