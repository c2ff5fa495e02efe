// Tabs, the timeline, and what the other scripts share. Text from traffic is set as text only.
const say = (number) => (number === null || number === undefined ? "\u2013" : Number(number).toLocaleString("en", { maximumSignificantDigits: 4 }));
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function make(tag, words, attributes = {}) {
  const element = document.createElement(tag);
  if (words !== undefined && words !== null) element.textContent = words;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function draw(tag, attributes, words) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (words !== undefined) element.textContent = words;
  return element;
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit ? bytes.toPrecision(3) : bytes} ${units[unit]}`;
}

const runs = [...document.querySelectorAll("article.run")].map((article) => ({
  article,
  data: JSON.parse(article.querySelector("script.data").textContent),
  chosen: [], // called with the number of a bin that was clicked
}));

// Tabs: one run at a time; without a script all of them stand below one another.
const tabs = [...document.querySelectorAll('[role="tab"]')];
function choose(number) {
  tabs.forEach((tab, place) => {
    tab.setAttribute("aria-selected", String(place === number));
    tab.tabIndex = place === number ? 0 : -1;
    runs[place].article.hidden = place !== number;
  });
  runs[number].article.dispatchEvent(new Event("shown"));
}
tabs.forEach((tab, place) => {
  tab.addEventListener("click", () => choose(place));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (place + step + tabs.length) % tabs.length;
    choose(next);
    tabs[next].focus();
  });
});
if (tabs.length) choose(0);

function timeline(run) {
  const { data, article } = run;
  const section = article.querySelector("section.timeline");
  const picture = section.querySelector("svg");
  const tip = section.querySelector(".tip");
  const { width, height } = picture.viewBox.baseVal;
  const { left, right, top, from, to } = data.axis;
  const place = (moment) => width * (left + ((right - left) * (moment - from)) / (to - from));
  const names = ["bin", "start", "end", "flows", "alerts", "attacks", "highest"];
  const bins = data.bins.map((row) => Object.fromEntries(row.map((value, k) => [names[k], value])));
  const band = (name) => {
    const shape = draw("rect", { class: name, y: height * top, height: height * (1 - top), x: 0, width: 0 });
    picture.append(shape);
    return shape;
  };
  const cursor = band("cursor");
  const chosen = band("chosen");
  const put = (shape, bin) => {
    const begin = place(bin.start);
    shape.setAttribute("x", begin);
    shape.setAttribute("width", Math.max(2, place(bin.end) - begin));
  };
  const moment = (value) => (data.clock ? `${new Date(value / 1000).toISOString().slice(0, 19).replace("T", " ")} UTC` : `row ${value.toLocaleString("en")}`);
  const words = (bin) => {
    const truth = data.labelled ? `, ${say(bin.attacks)} flows of attacks` : "";
    return `${moment(bin.start)}: ${say(bin.flows)} flows, ${say(bin.alerts)} alerts${truth}, highest score ${say(bin.highest)}`;
  };
  const under = (event) => {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    const away = (bin) => Math.max(place(bin.start) - x, x - place(bin.end), 0);
    return bins.reduce((best, bin) => (away(bin) < away(best) ? bin : best), bins[0]);
  };
  picture.addEventListener("pointermove", (event) => {
    const bin = under(event);
    put(cursor, bin);
    tip.textContent = words(bin);
  });
  picture.addEventListener("click", (event) => {
    const bin = under(event);
    tip.textContent = words(bin);
    run.chosen.forEach((act) => act(bin.bin));
  });
  run.chosen.push((number) => {
    const bin = bins.find((each) => each.bin === number);
    if (bin) put(chosen, bin);
  });
}
runs.forEach(timeline);
