// Lines over days, drawn by uPlot on a canvas; the same numbers stand in a table for whoever cannot see it.
import uPlot from "./uplot-1.6.32.js";
import { html, useEffect, useRef, useState } from "./vendor.js";
import { day, number } from "./format.js";
import { Table } from "./parts.js";

const HEIGHT = 200;

/** A colour of the style sheet as the canvas needs it, in the theme of this moment. */
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function options(series, width, told) {
  const soft = colour("soft");
  const grid = { stroke: colour("line"), width: 1 };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    hooks: { setCursor: [(plot) => told(plot.cursor.idx ?? null)] },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(most ?? 0, 4)] } },
    axes: [
      { stroke: soft, grid: { show: false }, ticks: grid, space: 64, size: 34, values: (_, ticks) => ticks.map(tick) },
      { stroke: soft, grid, ticks: grid, size: 56, values: (_, ticks) => ticks.map((t) => (t % 1 ? "" : number(t))) },
    ],
    series: [{}, ...series.map(({ tone }) => ({ stroke: colour(tone), width: 2, points: { size: 5, fill: colour(tone) } }))],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
  };
}

const tick = (seconds) => new Date(seconds * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

/**
 * One chart.
 *
 * `days` are the API's, oldest first; `series` is a list of `{ name, title, tone }`: a member of a day, what it is
 * called, and a colour of the style sheet.
 */
export function Chart({ title, days, series }) {
  const place = useRef(null);
  const [at, point] = useState(null); // the day the pointer is at
  useEffect(() => {
    const data = [days.map((d) => Date.parse(`${d.day}T00:00:00Z`) / 1000), ...series.map((s) => days.map((d) => d[s.name] ?? 0))];
    let plot = null;
    const draw = () => {
      if (place.current === null) return; // gone, though not yet cleaned up: that comes after the next paint
      plot?.destroy();
      plot = new uPlot(options(series, place.current.clientWidth, point), data, place.current);
    };
    draw();
    const resized = new ResizeObserver(([entry]) => plot.setSize({ width: entry.contentRect.width, height: HEIGHT }));
    resized.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    addEventListener("themechange", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      removeEventListener("themechange", draw);
      plot.destroy();
    };
  }, [days, series]);

  const shown = days[at] ? [days[at]] : days;
  const total = (name, among = days) => among.reduce((sum, d) => sum + (d[name] ?? 0), 0);
  const summary = series.map((s) => `${s.title}: ${number(total(s.name))}`).join(", ");
  return html`<figure class="chart">
    <figcaption><h3>${title} <span class="soft">${days[at] ? day(days[at].day) : ""}</span></h3>
      <ul class="legend">${series.map((s) => html`<li><i class=${`swatch ${s.tone}`}></i>${s.title} <b>${number(total(s.name, shown))}</b></li>`)}</ul>
    </figcaption>
    <div class="plot" ref=${place} role="img" aria-label=${`${title} over ${days.length} days. ${summary}.`}></div>
    <details><summary>${title} as a table</summary>
      <${Table} caption=${title} rows=${[...days].reverse()} rowKey=${(d) => d.day} columns=${[
        { title: "Day (UTC)", cell: (d) => day(d.day) },
        ...series.map((s) => ({ title: s.title, number: true, cell: (d) => number(d[s.name]) })),
      ]} />
    </details>
  </figure>`;
}
