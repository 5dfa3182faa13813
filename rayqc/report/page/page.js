"use strict";
// Text from a pool reaches the page through textContent and attributes only, never as HTML.
const facts = JSON.parse(document.getElementById("facts").textContent);
const at = (id) => document.getElementById(id);
const referenceById = new Map(facts.references.map((one) => [one.id, one]));
const images = facts.items.filter((one) => one.verdict !== "error");
const number = (value) => value.toLocaleString("en");
const percent = (value, digits = 0) => (100 * value).toFixed(digits) + "%";

function make(name, { text, children, ...attributes } = {}) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  for (const child of children ?? []) element.append(child);
  return element;
}

function svg(name, attributes = {}, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const canvas = (width, height, label) =>
  svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });

// As wide as there is room, so that letters keep their size on a phone.
const roomIn = (place) => Math.max(260, Math.min(680, place.clientWidth || 640));

function drawArms() {
  const place = at("arms-plot");
  if (!place) return;
  const row = 26, left = 70, width = roomIn(place), steps = width < 450 ? 2 : 4, height = facts.arms.length * row + 30;
  // What was rejected is often far below, and would press the others together.
  const compared = facts.arms.filter((arm) => arm.name !== "rejected");
  const least = (arm) => arm.mean - (arm.half ?? 0), most = (arm) => arm.mean + (arm.half ?? 0);
  const ends = (compared.length ? compared : facts.arms).flatMap((arm) => [least(arm), most(arm)]);
  const pad = Math.max(0.005, (Math.max(...ends) - Math.min(...ends)) * 0.1);
  const low = Math.max(0, Math.min(...ends) - pad), high = Math.min(1, Math.max(...ends) + pad);
  const inside = (value) => Math.min(high, Math.max(low, value));
  const x = (value) => left + ((inside(value) - low) / (high - low)) * (width - left - 24);
  const plot = canvas(width, height, "accuracy of each arm with its 95% interval");
  for (let step = 0; step <= steps; step++) {
    const value = low + (step / steps) * (high - low);
    plot.append(svg("line", { x1: x(value), x2: x(value), y1: 4, y2: height - 22, stroke: "var(--line)" }));
    plot.append(svg("text", { x: x(value), y: height - 6, "text-anchor": "middle" }, percent(value, 1)));
  }
  facts.arms.forEach((arm, index) => {
    const y = 18 + index * row;
    const colour = arm.name === "accepted" ? "var(--good)" : "var(--ink)";
    plot.append(svg("text", { x: left - 10, y: y + 4, "text-anchor": "end" }, arm.name));
    plot.append(svg("line", { x1: x(least(arm)), x2: x(most(arm)), y1: y, y2: y, stroke: colour, "stroke-width": 2 }));
    if (arm.mean < low) plot.append(svg("text", { x: left + 4, y: y + 4 }, `◂ ${percent(arm.mean, 1)}`));
    else plot.append(svg("circle", { cx: x(arm.mean), cy: y, r: 5, style: `fill:${colour}` }));
  });
  place.replaceChildren(plot);
}

function drawCurve(chosen) {
  const place = at("curve-plot"), width = roomIn(place), height = 170, left = 44, bottom = 26, n = facts.coverages.length;
  const x = (index) => left + (index / (n - 1)) * (width - left - 16);
  const y = (value) => 8 + (1 - value) * (height - bottom - 8);
  const plot = canvas(width, height, "share of the pool accepted against coverage");
  for (const value of [0, 0.5, 1]) {
    plot.append(svg("line", { x1: left, x2: width - 16, y1: y(value), y2: y(value), stroke: "var(--line)" }));
    plot.append(svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, percent(value)));
  }
  facts.coverages.forEach((value, index) =>
    plot.append(svg("text", { x: x(index), y: height - 6, "text-anchor": "middle" }, String(100 * value).slice(0, 4))));
  const path = facts.curve.map((value, index) => `${index ? "L" : "M"}${x(index)} ${y(value)}`).join("");
  plot.append(svg("path", { d: path, fill: "none", stroke: "var(--blue)", "stroke-width": 2 }));
  plot.append(svg("circle", { cx: x(chosen), cy: y(facts.curve[chosen]), r: 6, style: "fill:var(--blue)" }));
  place.replaceChildren(plot);
}

function nearestCoverage() {
  const away = facts.coverages.map((value) => Math.abs(value - facts.coverage));
  return away.indexOf(Math.min(...away));
}

function sayCoverage(chosen) {
  const coverage = facts.coverages[chosen];
  const now = facts.counts.accepted, judged = now + facts.counts.rejected;
  const then = Math.round(facts.curve[chosen] * judged), moved = then - now;
  const change = moved === 0 ? "as now" : `${moved > 0 ? "+" : "−"}${number(Math.abs(moved))} against now`;
  at("coverage-says").textContent = `${percent(coverage, 1)}: ${number(then)} accepted (${change})`;
  at("refilter").textContent = `rayqc refilter ${facts.named} --coverage ${coverage} --out kept${number(100 * coverage)}`;
}

function chooseCoverage() {
  const chosen = Number(at("coverage").value);
  sayCoverage(chosen);
  drawCurve(chosen);
  document.querySelectorAll("#class-table tbody tr").forEach((line, index) => {
    const share = facts.classes[index].curve[chosen];
    line.querySelector("meter").value = share;
    line.querySelector(".share span").textContent = percent(share);
    line.querySelector(".kept").textContent = number(Math.round(share * facts.classes[index].judged));
  });
}

function drawBars() {
  for (const cell of document.querySelectorAll(".bars")) {
    const row = facts.classes[Number(cell.dataset.class)];
    const bins = row.candidates.length, width = 186, height = 40, step = width / bins;
    const plot = canvas(width, height, `scores of ${row.name}`);
    plot.style.width = `${width}px`;
    const top = (counts) => Math.max(1, ...counts);
    row.candidates.forEach((count, bin) => {
      const tall = (count / top(row.candidates)) * (height - 4);
      const fill = bin < 10 ? "var(--good)" : "var(--bad)";
      plot.append(svg("rect", { x: bin * step, y: height - tall, width: step - 0.6, height: tall, fill, opacity: 0.55 }));
    });
    const line = row.genuine.map((count, bin) => `${bin ? "L" : "M"}${(bin + 0.5) * step} ${height - (count / top(row.genuine)) * (height - 4)}`);
    plot.append(svg("path", { d: line.join(""), fill: "none", stroke: "var(--blue)", "stroke-width": 1.5 }));
    plot.append(svg("line", { x1: 10 * step, x2: 10 * step, y1: 0, y2: height, stroke: "var(--ink)", "stroke-dasharray": "2 2" }));
    cell.append(plot);
  }
}

function pictureOf(one, caption) {
  const figure = make("figure");
  if (one && one.picture) {
    const image = make("img", { src: one.picture, alt: caption, loading: "lazy" });
    image.addEventListener("load", () => { if (image.naturalWidth <= 48) image.classList.add("small"); });
    figure.append(image);
  }
  figure.append(make("figcaption", { text: caption }));
  return figure;
}

function pairOf(one) {
  const near = referenceById.get(one.near);
  const figures = [pictureOf(one, one.class)];
  if (near) figures.push(pictureOf(near, `real ${near.class}`));
  return make("div", { class: "pair", children: figures });
}

function cardOf(one) {
  const score = one.score === null ? "" : `score ${one.score.toFixed(2)} · `;
  const card = make("button", { type: "button", class: `card ${one.verdict}`, children: [
    pairOf(one),
    make("span", { class: "why", text: score + one.why }),
    make("span", { class: "id", text: one.id, title: one.id }),
  ] });
  card.addEventListener("click", () => openCloser(one));
  return card;
}

function openCloser(one) {
  const rows = { id: one.id, class: one.class, verdict: one.verdict, why: one.why, score: one.score ?? "-",
    source: one.source, "nearest reference": one.near || "-", "near copy": one.copy ? "yes" : "no" };
  const list = make("dl");
  for (const [key, value] of Object.entries(rows)) list.append(make("dt", { text: key }), make("dd", { text: String(value) }));
  at("closer-body").replaceChildren(pairOf(one), list);
  at("closer").showModal();
}

const ORDERS = {
  border: (a, b) => Math.abs((a.score ?? 9) - 1) - Math.abs((b.score ?? 9) - 1),
  low: (a, b) => (a.score ?? 9) - (b.score ?? 9),
  high: (a, b) => (b.score ?? -1) - (a.score ?? -1),
};
const PAGE = 60;
let shownCount = PAGE;

function chosen() {
  const form = at("filters"), wanted = Object.fromEntries(new FormData(form));
  const part = wanted.id.trim().toLowerCase();
  return facts.items
    .filter((one) => ["class", "verdict", "reason", "source"].every((key) => !wanted[key] || one[key] === wanted[key]))
    .filter((one) => !wanted.copies || one.copy === (wanted.copies === "copy"))
    .filter((one) => !part || one.id.toLowerCase().includes(part))
    .sort(ORDERS[wanted.order]);
}

function showCards() {
  const found = chosen();
  at("cards").replaceChildren(...found.slice(0, shownCount).map(cardOf));
  at("found").textContent = `${number(found.length)} of the ${number(facts.items.length)} images on this page`;
  at("more").hidden = found.length <= shownCount;
  const ids = new Set(found.map((one) => one.id));
  document.querySelectorAll("#map-plot circle").forEach((dot) =>
    dot.classList.toggle("faded", !dot.classList.contains("reference") && !ids.has(dot.dataset.id)));
}

function fillFilters() {
  for (const key of ["class", "verdict", "reason", "source"]) {
    const values = [...new Set(facts.items.map((one) => one[key]))].filter(Boolean);
    if (key !== "class") values.sort();
    const options = values.map((value) => make("option", { value, text: value.replace("_outside_region", "") }));
    at("filters").elements[key].append(make("option", { value: "", text: "all" }), ...options);
  }
  at("filters").addEventListener("input", () => { shownCount = PAGE; showCards(); });
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", () => { shownCount += PAGE; showCards(); });
}

function drawMap() {
  const place = at("map-plot");
  if (!place) return;
  const side = 560, plot = canvas(side, side, "map of references and images");
  const dots = [...images.filter((one) => one.place), ...facts.references.filter((one) => one.place)];
  for (const one of dots) {
    const kind = one.verdict ?? "reference";
    const dot = svg("circle", { cx: 10 + one.place[0] * (side - 20), cy: 10 + (1 - one.place[1]) * (side - 20),
      r: kind === "reference" ? 5 : 3.5, class: kind, "data-id": one.id, opacity: kind === "reference" ? 1 : 0.6 });
    const show = () => at("map-shows").replaceChildren(
      one.verdict ? pairOf(one) : make("div", { class: "pair", children: [pictureOf(one, `reference of ${one.class}`)] }),
      make("p", { class: "note", text: one.verdict ? `${one.verdict}: ${one.why}` : one.id }));
    dot.addEventListener("pointerenter", show);
    dot.addEventListener("click", () => (one.verdict ? openCloser(one) : show()));
    plot.append(dot);
  }
  place.append(plot);
}

function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const text = at(button.dataset.copy).textContent;
      try { await navigator.clipboard.writeText(text); } catch {
        const range = document.createRange();
        range.selectNodeContents(at(button.dataset.copy));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1200);
    });
  }
}

drawArms();
drawBars();
if (at("coverage")) {
  at("coverage").value = nearestCoverage();
  at("coverage").addEventListener("input", chooseCoverage);
  drawCurve(nearestCoverage());
  sayCoverage(nearestCoverage());
}
addEventListener("resize", () => {
  drawArms();
  if (at("coverage")) drawCurve(Number(at("coverage").value));
});
at("inspect").textContent = `rayqc inspect ${facts.named} ID`;
fillFilters();
drawMap();
showCards();
copyButtons();
at("close").addEventListener("click", () => at("closer").close());
at("closer").addEventListener("click", (event) => { if (event.target === at("closer")) at("closer").close(); });
