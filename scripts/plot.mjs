// Draws the figures of the benchmarks: node scripts/plot.mjs FIGURES.json [MORE.json] FOLDER. What `npm run bench` and
// `npm run bench:peers` write with --json; a later file's parts replace an earlier one's.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const files = process.argv.slice(2);
const folder = files.pop();
if (folder === undefined || files.length === 0) {
  console.error("usage: node scripts/plot.mjs FIGURES.json [MORE.json] FOLDER");
  process.exit(2);
}
const figures = Object.assign({}, ...files.map((file) => JSON.parse(readFileSync(file, "utf8"))));

const WIDTH = 860;
const LEFT = 370;
const RIGHT = 90;
const BAR = 13;
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .small { font-size: 11px }
  .grid { stroke: #d0d7de }
  .whisker { stroke: #57606a }
  .c0 { fill: #2f6fd0 } .c1 { fill: #c2571a } .c2 { fill: #2a8a4a } .c3 { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .grid { stroke: #3d444d } .whisker { stroke: #9198a1 }
    .c0 { fill: #6ea8fe } .c1 { fill: #f0965a } .c2 { fill: #5cc98a } .c3 { fill: #b796f5 }
  }`;

const escaped = (text) => String(text).replace(/[&<>"]/g, (char) => `&#${char.codePointAt(0)};`);
const text = (x, y, content, more = "") =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`;

/** A number in as few characters as tell it. */
const short = (value) =>
  value >= 1000
    ? Math.round(value).toLocaleString("en")
    : value >= 10
      ? value.toFixed(0)
      : Number(value.toPrecision(2)).toString();

function logScale(values) {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values) * 1.0001));
  const ticks = [];
  for (let tick = low; tick <= high * 1.0001; tick *= 10) ticks.push(tick);
  const span = Math.log10(high / low);
  return { at: (value) => LEFT + (Math.log10(value / low) / span) * (WIDTH - LEFT - RIGHT), ticks };
}

function linearScale(values) {
  const top = Math.max(...values);
  const step = 10 ** Math.floor(Math.log10(top));
  const ticks = [];
  for (let tick = 0; tick <= top; tick += step / (top / step < 3 ? 2 : 1)) ticks.push(tick);
  return { at: (value) => LEFT + (value / top) * (WIDTH - LEFT - RIGHT), ticks };
}

/** Groups of horizontal bars: each `{ label, bars: [{ series, value, min, max }] }`. */
function barChart({ title, note, series, groups, scale, unit }) {
  const gap = 10;
  const top = 74;
  let y = top;
  const marks = [];
  for (const { label, bars } of groups) {
    marks.push(text(LEFT - 8, y + (bars.length * BAR) / 2 + 4, label, 'text-anchor="end"'));
    for (const { series: of, value, min, max } of bars) {
      if (value !== undefined) {
        const end = scale.at(value);
        marks.push(
          `<rect class="c${of}" x="${LEFT}" y="${y}" width="${Math.max(1, end - LEFT).toFixed(1)}" height="${BAR - 2}"/>`,
        );
        if (min !== undefined) {
          const middle = y + (BAR - 2) / 2;
          marks.push(
            `<path class="whisker" d="M${scale.at(min).toFixed(1)} ${middle}H${scale.at(max).toFixed(1)}" stroke-width="2"/>`,
          );
        }
        marks.push(
          text(
            Math.max(end, max === undefined ? end : scale.at(max)) + 5,
            y + BAR - 3,
            `${short(value)}${unit}`,
            'class="small"',
          ),
        );
      } else marks.push(text(LEFT + 4, y + BAR - 3, "–", 'class="small"'));
      y += BAR;
    }
    y += gap;
  }
  const height = y + 26;
  const grid = scale.ticks.map(
    (tick) =>
      `<path class="grid" d="M${scale.at(tick).toFixed(1)} ${top - 6}V${y}"/>${text(scale.at(tick), y + 15, short(tick), 'text-anchor="middle" class="small"')}`,
  );
  const legend =
    series.length < 2
      ? []
      : series.map((name, i) => {
          const x = LEFT + i * 150;
          return `<rect class="c${i}" x="${x}" y="48" width="11" height="11"/>${text(x + 16, 58, name)}`;
        });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}
</style>
${[text(10, 22, title, 'class="title"'), text(10, 40, note, 'class="small"'), ...legend, ...grid, ...marks].join("\n")}
</svg>
`;
}

function engineRatios({ rows, geometricMeans }) {
  const series = geometricMeans.map(({ peer }) => peer);
  const groups = [
    ...rows.map(({ name, peers }) => ({
      label: name,
      bars: series.map((peer, i) => ({ series: i, value: peers.find((one) => one.peer === peer)?.ratio })),
    })),
    { label: "geometric mean", bars: geometricMeans.map(({ mean }, i) => ({ series: i, value: mean })) },
  ];
  const values = groups.flatMap(({ bars }) => bars.flatMap(({ value }) => value ?? []));
  return barChart({
    title: "Evaluation: how many times as fast Cardea is",
    note: "One policy each, warm; logarithmic; – is a policy the peer does not run",
    series,
    groups,
    scale: logScale([1, ...values]),
    unit: "",
  });
}

const fullSpeed = ({ loads }) => loads.find(({ rate }) => rate === undefined || rate === null);

function throughput({ rows }) {
  const groups = rows.map((row) => {
    const { median, min, max } = fullSpeed(row).perSecond;
    return { label: row.name, bars: [{ series: 0, value: median, min, max }] };
  });
  return barChart({
    title: "Checks per second on one processor",
    note: "At full speed, 128 calls under way; the line is the spread of the rounds",
    series: ["checks"],
    groups,
    scale: linearScale(groups.flatMap(({ bars }) => bars.map(({ max }) => max))),
    unit: "",
  });
}

function latency({ rows }) {
  const groups = rows.flatMap((row) =>
    row.loads
      .filter(({ rate }) => typeof rate === "number")
      .map((load) => ({
        label: `${row.name}, ${load.rate}/s`,
        bars: [load.p50Us, load.p99Us, load.p999Us].map(({ median, min, max }, i) => ({
          series: i,
          value: median / 1000,
          min: min / 1000,
          max: max / 1000,
        })),
      })),
  );
  return barChart({
    title: "Latency at fixed rates, milliseconds",
    note: "On one processor; logarithmic; the line is the spread of the rounds",
    series: ["p50", "p99", "p99.9"],
    groups,
    scale: logScale(groups.flatMap(({ bars }) => bars.flatMap(({ min, max }) => [min, max]))),
    unit: "",
  });
}

mkdirSync(folder, { recursive: true });
const drawings = {
  ...(figures.engine?.geometricMeans !== undefined && { "engine-ratios.svg": engineRatios(figures.engine) }),
  ...(figures.server !== undefined && {
    "server-throughput.svg": throughput(figures.server),
    "server-latency.svg": latency(figures.server),
  }),
};
for (const [name, drawing] of Object.entries(drawings)) writeFileSync(path.join(folder, name), drawing);
console.log(Object.keys(drawings).join("\n"));
