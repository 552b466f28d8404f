"use strict";
// Draws the blocks that /api/... returns. Text goes in as text nodes only.
const POLL_MS = 3000;
// Reading a folder costs the machine that may be training: at most this share of one core.
const LOAD = 0.1;
const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"];
const SVG = "http://www.w3.org/2000/svg";

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function drawn(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

function section(title) {
  const node = element("section");
  if (title) node.append(element("h2", title));
  return node;
}

function cards(block) {
  const node = element("div", undefined, "cards");
  for (const [label, value, note] of block.entries) {
    const card = element("div");
    card.append(element("span", label), element("b", value), element("span", note));
    node.append(card);
  }
  return node;
}

function cell(content, className) {
  const node = element("td", undefined, className);
  if (typeof content === "string") node.textContent = content;
  else if (content.href.startsWith("/")) {
    const anchor = element("a", content.text);
    anchor.href = content.href;
    node.append(anchor);
  }
  return node;
}

function table(block) {
  const node = section(block.title);
  if (!block.rows.length) {
    node.append(element("p", block.empty));
    return node;
  }
  const scroll = element("div", undefined, "scroll");
  const body = element("tbody");
  const head = element("tr");
  const kind = block.columns.map((name) => (name.startsWith("Settings") || name === "Cause" ? "settings" : ""));
  head.append(...block.columns.map((name, index) => element("th", name, kind[index])));
  for (const row of block.rows) {
    const line = element("tr");
    line.append(...row.map((content, index) => cell(content, kind[index])));
    body.append(line);
  }
  const grid = element("table");
  const header = element("thead");
  header.append(head);
  grid.append(header, body);
  scroll.append(grid);
  node.append(scroll);
  return node;
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) || 10);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return found.map((value) => ({ value, label: String(Number(value.toPrecision(6))) }));
}

function plot(block, holder) {
  const width = Math.max(holder.clientWidth, 240), height = 240;
  const left = 48, right = 10, top = 10, bottom = 34;
  const points = block.series.flatMap((line) => line.points.filter((point) => point[1] !== null));
  holder.replaceChildren();
  if (!points.length) return;
  const xs = points.map((point) => point[0]), ys = points.map((point) => point[1]);
  let [x0, x1] = [Math.min(...xs), Math.max(...xs)], [y0, y1] = [Math.min(...ys), Math.max(...ys)];
  if (x0 === x1) { x0 -= 1; x1 += 1; }
  const pad = (y1 - y0 || Math.abs(y1) || 1) * 0.06;
  y0 = y0 >= 0 && y0 - pad < 0 ? 0 : y0 - pad;
  y1 += pad;
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": block.title }, holder);
  for (const { value, label } of ticks(y0, y1, 4)) {
    drawn("line", { class: "rule", x1: left, x2: width - right, y1: y(value), y2: y(value) }, svg);
    drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, svg).textContent = label;
  }
  for (const { value, label } of ticks(x0, x1, Math.min(x1 - x0, Math.floor(width / 70)))) {
    if (Number.isInteger(Number(label)))
      drawn("text", { x: x(value), y: height - bottom + 18, "text-anchor": "middle" }, svg).textContent = label;
  }
  drawn("text", { x: width - right, y: height - 2, "text-anchor": "end" }, svg).textContent = "epoch";
  block.series.forEach((line, index) => {
    const strong = line.name === block.emphasised, faint = block.emphasised !== null && !strong;
    const stroke = { stroke: colour(block, index), "stroke-width": strong ? 3 : 1.8, opacity: faint ? 0.4 : 1 };
    let path = "", pen = "M";
    for (const [px, py] of line.points) {
      if (py === null) { pen = "M"; continue; }
      path += `${pen}${x(px).toFixed(1)} ${y(py).toFixed(1)}`;
      pen = "L";
    }
    drawn("path", { d: path, fill: "none", ...stroke }, svg);
    if (line.points.length < 30)
      for (const [px, py] of line.points)
        if (py !== null)
          drawn("circle", { cx: x(px), cy: y(py), r: strong ? 3.5 : 2.5, fill: colour(block, index), opacity: stroke.opacity }, svg);
  });
}

function colour(block, index) {
  if (block.emphasised === null) return COLOURS[index % COLOURS.length];
  return block.series[index].name === block.emphasised ? COLOURS[5] : COLOURS[0];
}

function chart(block) {
  const node = section(block.title);
  const holder = element("div", undefined, "plot");
  node.append(holder);
  const named = block.emphasised === null ? block.series : block.series.filter((s) => s.name === block.emphasised);
  if (block.series.length > 1) {
    const legend = element("div", undefined, "legend");
    for (const line of named) {
      const entry = element("span");
      const swatch = element("i");
      swatch.style.background = colour(block, block.series.indexOf(line));
      entry.append(swatch, block.emphasised === null ? line.name : `${line.name}, the best`);
      legend.append(entry);
    }
    node.append(legend);
  }
  new ResizeObserver(() => plot(block, holder)).observe(holder);
  return node;
}

function images(block) {
  const node = section(block.title);
  const grid = element("div", undefined, "grid");
  for (const [caption, source] of block.entries) {
    if (!source.startsWith("data:image/png;base64,")) continue;
    const figure = element("figure"), picture = element("img");
    picture.src = source;
    picture.alt = `image, truth, prediction and errors of ${caption}`;
    figure.append(picture, element("figcaption", caption));
    grid.append(figure);
  }
  node.append(grid);
  return node;
}

function message(block) {
  const node = section();
  node.append(element("p", block.text, "faint"));
  return node;
}

const DRAW = { cards, table, images, message };

function show(holder, blocks) {
  const nodes = [];
  let charts = null;
  for (const block of blocks) {
    if (block.kind !== "chart") {
      charts = null;
      nodes.push(DRAW[block.kind](block));
      continue;
    }
    if (charts === null) {
      charts = element("div", undefined, "charts");
      nodes.push(charts);
    }
    charts.append(chart(block));
  }
  holder.replaceChildren(...nodes);
}

const problems = new Map();

function report(source, text) {
  problems.set(source, text);
  const found = [...problems.values()].filter(Boolean);
  const box = document.getElementById("problem");
  box.hidden = !found.length;
  box.textContent = found.join(" · ");
}

async function poll(holder) {
  const source = holder.dataset.source;
  const started = performance.now();
  try {
    const answer = await fetch(source);
    const text = await answer.text();
    if (answer.status === 404) throw new Error("it is no longer there");
    const found = JSON.parse(text);
    report(source, found.problem || "");
    if (found.blocks && holder.dataset.shown !== text) {
      holder.dataset.shown = text;
      show(holder, found.blocks);
    }
    if (found.state) {
      const badge = document.getElementById("state");
      badge.hidden = false;
      badge.textContent = found.state;
      badge.className = found.state === "finished" ? "badge good" : "badge warn";
    }
  } catch (error) {
    report(source, `not up to date: ${error.message}`);
  }
  const pause = Math.max(POLL_MS, (performance.now() - started) / LOAD);
  setTimeout(() => (document.hidden ? resume(holder) : poll(holder)), pause);
}

function resume(holder) {
  document.addEventListener("visibilitychange", () => poll(holder), { once: true });
}

document.querySelectorAll("[data-source]").forEach(poll);
document.querySelectorAll("details").forEach((details) =>
  details.addEventListener("toggle", () => {
    const frame = details.querySelector("iframe");
    if (frame && details.open && !frame.src) frame.src = frame.dataset.url;
  })
);
