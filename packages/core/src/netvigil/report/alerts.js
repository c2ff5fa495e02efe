// The table of alerts: sort, search, group; a row opens into what is usual beside what was seen.
const PAGE = 50;
const PROTOCOLS = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

function alerts(run) {
  const { data, article } = run;
  const section = article.querySelector("section.alerts");
  const table = section.querySelector("table.alerts");
  if (!table) return;
  const controls = section.querySelector(".controls");
  controls.hidden = false;
  const [group, search, count, more] = ["select", "input", ".count", ".more"].map((name) => section.querySelector(name));
  const service = (alert) => `${PROTOCOLS[alert.protocol] || alert.protocol || "?"}${alert.port === null ? "" : `/${alert.port}`}`;
  const columns = [
    { name: "time", key: (a) => a.when, words: (a) => a.when, kind: "mono" },
    { name: "score", key: (a) => a.score, words: (a) => say(a.score), kind: "number", first: -1 },
    { name: "source", key: (a) => a.src || "", words: (a) => a.src || "\u2013" },
    { name: "destination", key: (a) => a.dst || "", words: (a) => a.dst || "\u2013" },
    { name: "service", key: (a) => service(a), words: (a) => service(a), kind: "mono" },
    { name: "packets", key: (a) => a.packets, words: (a) => say(a.packets), kind: "number", first: -1 },
    { name: "bytes", key: (a) => a.bytes, words: (a) => size(a.bytes), kind: "number", first: -1 },
    ...(data.labelled ? [{ name: "truth", key: (a) => a.attack, words: (a) => a.attack, kind: "truth" }] : []),
    { name: "why", key: (a) => a.reasons.join("; "), words: (a) => a.reasons.join("; "), kind: "why" },
  ];
  let by = { column: columns[1], sign: -1 };
  let shown = PAGE;
  const text = (alert) => columns.map((column) => column.words(alert)).join(" ").toLowerCase();
  const texts = new Map(data.alerts.map((alert) => [alert, text(alert)]));
  const groups = {
    host: (a) => a.src || "\u2013",
    pair: (a) => `${a.src || "\u2013"} \u2192 ${a.dst || "\u2013"}`,
    window: (a) => data.titles[a.bin] || `bin ${a.bin}`,
  };

  function detail(alert) {
    const cell = make("td", null, { colspan: columns.length });
    const known = alert.pair ? `${say(alert.pair)} train flows of this pair of hosts` : "no train flow of this pair of hosts";
    const long = alert.seconds === null ? "" : `, ${say(alert.seconds)} s long`;
    cell.append(make("p", `Flow ${alert.id}${long}; ${known}.`));
    if (alert.beside.length) {
      const facts = make("table", null, { class: "facts" });
      const head = make("tr");
      head.append(...["", "here", "usual", "usual of"].map((name) => make("th", name)));
      facts.append(head);
      for (const [kind, name, value, usual, whose] of alert.beside) {
        const row = make("tr");
        row.append(make("th", kind === "term" ? `error term: ${name}` : name), make("td", say(value), { class: "number" }), make("td", say(usual), { class: "number" }), make("td", whose));
        facts.append(row);
      }
      cell.append(facts);
    }
    const jump = make("button", "Show its window", { type: "button" });
    jump.addEventListener("click", () => {
      run.chosen.forEach((act) => act(alert.bin));
      article.querySelector("section.timeline").scrollIntoView({ behavior: "smooth" });
    });
    cell.append(jump);
    const row = make("tr", null, { class: "detail" });
    row.append(cell);
    return row;
  }

  function line(alert) {
    const row = make("tr");
    columns.forEach((column, place) => {
      const cell = make(place ? "td" : "th", column.words(alert), { class: column.kind || "" });
      if (column.kind === "truth" && !data.calm.includes(alert.attack)) cell.classList.add("true");
      row.append(cell);
    });
    const open = make("button", "usual?", { type: "button", "aria-expanded": "false" });
    open.addEventListener("click", () => {
      const wide = open.getAttribute("aria-expanded") === "true";
      if (wide) row.nextElementSibling.remove();
      else row.after(detail(alert));
      open.setAttribute("aria-expanded", String(!wide));
    });
    row.lastElementChild.append(" ", open);
    return row;
  }

  function fill() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = data.alerts.filter((alert) => words.every((word) => texts.get(alert).includes(word)));
    const compare = (a, b) => {
      const [x, y] = [by.column.key(a), by.column.key(b)];
      return by.sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
    };
    found.sort(compare);
    const rows = [];
    if (group.value) {
      const gathered = Map.groupBy ? Map.groupBy(found, groups[group.value]) : found.reduce((map, alert) => {
        const key = groups[group.value](alert);
        return map.set(key, [...(map.get(key) || []), alert]);
      }, new Map());
      for (const [name, members] of [...gathered].sort((a, b) => b[1].length - a[1].length)) {
        const head = make("tr", null, { class: "group" });
        const highest = Math.max(...members.map((alert) => alert.score));
        head.append(make("th", `${name}: ${members.length} alerts, highest score ${say(highest)}`, { colspan: columns.length, scope: "rowgroup" }));
        rows.push(() => head, ...members.map((alert) => () => line(alert)));
      }
    } else {
      rows.push(...found.map((alert) => () => line(alert)));
    }
    table.tBodies[0].replaceChildren(...rows.slice(0, shown).map((build) => build()));
    count.textContent = `${found.length} alerts`;
    more.hidden = rows.length <= shown;
  }

  const head = make("tr");
  for (const column of columns) {
    const cell = make("th", null, { scope: "col", class: column.kind === "number" ? "number" : "" });
    const button = make("button", column.name, { type: "button" });
    button.addEventListener("click", () => {
      by = { column, sign: by.column === column ? -by.sign : column.first || 1 };
      [...head.cells].forEach((each) => each.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", by.sign > 0 ? "ascending" : "descending");
      fill();
    });
    if (column === by.column) cell.setAttribute("aria-sort", "descending");
    cell.append(button);
    head.append(cell);
  }
  table.tHead.append(head);
  group.addEventListener("change", () => { shown = PAGE; fill(); });
  search.addEventListener("input", () => { shown = PAGE; fill(); });
  more.addEventListener("click", () => { shown += 4 * PAGE; fill(); });
  fill();
}
runs.forEach(alerts);
