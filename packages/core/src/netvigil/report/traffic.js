// Two traffic graphs side by side: hosts as circles, pairs of hosts as arcs.
function byAddress(a, b) {
  const parts = (host) => (/^\d+(\.\d+){3}$/.test(host) ? host.split(".").map(Number) : null);
  const [x, y] = [parts(a), parts(b)];
  if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1) || a.localeCompare(b);
  for (let k = 0; k < 4; k += 1) if (x[k] !== y[k]) return x[k] - y[k];
  return 0;
}

function circle(hosts) {
  return new Map(hosts.map((host, k) => {
    const angle = (2 * Math.PI * k) / hosts.length - Math.PI / 2;
    return [host, [Math.cos(angle), Math.sin(angle)]];
  }));
}

// Fruchterman and Reingold 1991, with a pull to the middle that holds what is not connected.
function forces(hosts, edges) {
  const at = hosts.map((_, k) => [...circle(hosts).get(hosts[k])]);
  const row = new Map(hosts.map((host, k) => [host, k]));
  const length = 1.5 / Math.sqrt(hosts.length);
  const rounds = hosts.length > 150 ? 80 : 200;
  for (let round = 0; round < rounds; round += 1) {
    const push = at.map(([x, y]) => [-0.5 * x, -0.5 * y]);
    for (let a = 0; a < at.length; a += 1) {
      for (let b = a + 1; b < at.length; b += 1) {
        const [dx, dy] = [at[a][0] - at[b][0], at[a][1] - at[b][1]];
        const force = (length * length) / Math.max(dx * dx + dy * dy, 1e-4);
        push[a][0] += dx * force; push[a][1] += dy * force;
        push[b][0] -= dx * force; push[b][1] -= dy * force;
      }
    }
    for (const edge of edges) {
      const [a, b] = [row.get(edge.src), row.get(edge.dst)];
      const [dx, dy] = [at[a][0] - at[b][0], at[a][1] - at[b][1]];
      const force = Math.hypot(dx, dy) / length;
      push[a][0] -= dx * force * 0.5; push[a][1] -= dy * force * 0.5;
      push[b][0] += dx * force * 0.5; push[b][1] += dy * force * 0.5;
    }
    const heat = 0.12 * (1 - round / rounds);
    at.forEach((place, k) => {
      const far = Math.hypot(...push[k]) || 1;
      place[0] += (push[k][0] / far) * Math.min(far, heat);
      place[1] += (push[k][1] / far) * Math.min(far, heat);
    });
  }
  const mean = [0, 1].map((axis) => at.reduce((sum, place) => sum + place[axis], 0) / at.length);
  at.forEach((place) => { place[0] -= mean[0]; place[1] -= mean[1]; });
  const reach = Math.max(...at.map((place) => Math.hypot(...place)), 1e-9);
  return new Map(hosts.map((host, k) => [host, [at[k][0] / reach, at[k][1] / reach]]));
}

function traffic(run) {
  const { data, article } = run;
  const section = article.querySelector("section.traffic");
  const panels = [...section.querySelectorAll(".panel")];
  if (!panels.length) return;
  const controls = section.querySelector(".controls");
  controls.hidden = false;
  const setting = (name) => controls.querySelector(`[name="${name}"]`);
  const fields = ["src", "dst", "flows", "bytes", "score", "alerts", "attacks", "attack", "services"];
  const edgesOf = (number) => (data.graphs[number] || []).map((row) => {
    const edge = Object.fromEntries(row.map((value, k) => [fields[k], value]));
    return { ...edge, src: data.hosts[edge.src], dst: data.hosts[edge.dst], attack: data.classes[edge.attack] };
  });
  const numbers = Object.keys(data.graphs).map(Number).sort((a, b) => a - b);
  const started = { left: data.telling ? data.telling[0] : numbers[0], right: data.telling ? data.telling[1] : numbers[0] };
  let active = panels[1];

  const truly = (edge) => data.labelled && edge.attacks > 0;
  const colour = (edge) => {
    if (setting("colour").value === "truth") return truly(edge) ? "var(--attack)" : "var(--benign)";
    return edge.alerts > 0 ? "var(--alert)" : "var(--benign)";
  };
  const words = (edge) => [
    `${edge.src} \u2192 ${edge.dst}`,
    `${say(edge.flows)} flows, ${size(edge.bytes)}: ${edge.services}`,
    `highest score ${say(edge.score)}, ${say(edge.alerts)} alerts${truly(edge) ? `; truly ${edge.attack} (${say(edge.attacks)} flows)` : ""}`,
  ].join("\n");

  function show(panel, number) {
    const picture = panel.querySelector("svg");
    const tip = panel.querySelector(".tip");
    const select = panel.querySelector("select");
    select.value = String(number);
    panel.dataset.bin = number;
    const all = edgesOf(number);
    const only = setting("alerts").checked;
    const edges = only ? all.filter((edge) => edge.alerts > 0) : all;
    const hosts = [...new Set(all.flatMap((edge) => [edge.src, edge.dst]))].sort(byAddress);
    const place = setting("layout").value === "circle" || hosts.length < 3 ? circle(hosts) : forces(hosts, all);
    const most = Math.log1p(Math.max(...all.map((edge) => edge.bytes), 1));
    const sums = new Map(hosts.map((host) => [host, { flows: 0, bytes: 0, alerts: 0, attacks: 0, peers: new Set() }]));
    for (const edge of edges) {
      for (const [host, other] of [[edge.src, edge.dst], [edge.dst, edge.src]]) {
        const sum = sums.get(host);
        sum.flows += edge.flows; sum.bytes += edge.bytes; sum.alerts += edge.alerts; sum.attacks += edge.attacks;
        sum.peers.add(other);
      }
    }
    picture.replaceChildren();
    const lines = [];
    const light = (keep) => lines.forEach(({ shapes, edge }) => shapes.forEach((shape) => shape.classList.toggle("dim", !keep(edge))));
    for (const edge of [...edges].sort((a, b) => a.score - b.score)) {
      const [[x0, y0], [x1, y1]] = [place.get(edge.src), place.get(edge.dst)];
      const loop = edge.src === edge.dst;
      const bend = loop ? 0 : 0.12;
      const path = loop
        ? `M${x0} ${y0} c-0.12 -0.16 0.12 -0.16 0 0`
        : `M${x0} ${y0} Q${(x0 + x1) / 2 + bend * (y1 - y0)} ${(y0 + y1) / 2 - bend * (x1 - x0)} ${x1} ${y1}`;
      const width = 0.005 + (0.03 * Math.log1p(edge.bytes)) / most;
      const loud = setting("colour").value === "truth" ? truly(edge) : edge.alerts > 0;
      const line = draw("path", { d: path, style: `stroke: ${colour(edge)}`, "stroke-width": width, "stroke-opacity": loud ? 0.95 : 0.45 });
      const hit = draw("path", { d: path, class: "hit", "stroke-width": 0.06 });
      hit.addEventListener("pointerenter", () => { tip.textContent = words(edge); light((each) => each === edge); });
      hit.addEventListener("pointerleave", () => light(() => true));
      lines.push({ shapes: [line], edge });
      picture.append(line, hit);
    }
    const named = [...hosts].sort((a, b) => sums.get(b).alerts - sums.get(a).alerts || sums.get(b).flows - sums.get(a).flows).slice(0, hosts.length > 40 ? 12 : 40);
    for (const host of hosts) {
      const sum = sums.get(host);
      const [x, y] = place.get(host);
      const loud = setting("colour").value === "truth" ? sum.attacks > 0 : sum.alerts > 0;
      const fill = loud ? (setting("colour").value === "truth" ? "var(--attack)" : "var(--alert)") : "var(--own)";
      const dot = draw("circle", { cx: x, cy: y, r: 0.02 + 0.009 * Math.log1p(sum.flows), style: `fill: ${fill}`, class: sum.flows ? "" : "dim" });
      dot.addEventListener("pointerenter", () => {
        tip.textContent = `${host}\n${say(sum.peers.size)} peers, ${say(sum.flows)} flows, ${size(sum.bytes)}\n${say(sum.alerts)} alerts${data.labelled ? `, ${say(sum.attacks)} flows of attacks` : ""}`;
        light((edge) => edge.src === host || edge.dst === host);
      });
      dot.addEventListener("pointerleave", () => light(() => true));
      picture.append(dot);
      if (named.includes(host) && (sum.flows || !only)) {
        const short = host.length > 26 ? `${host.slice(0, 25)}\u2026` : host;
        picture.append(draw("text", { x, y: y - 0.05, "text-anchor": "middle" }, short));
      }
    }
    tip.textContent = edges.length ? `${hosts.length} hosts, ${all.length} pairs. Point at a host or a line.` : "No pair of hosts has an alert here.";
  }

  function activate(panel) {
    active = panel;
    panels.forEach((each) => each.classList.toggle("active", each === panel));
  }

  panels.forEach((panel) => {
    const select = panel.querySelector("select");
    select.append(...numbers.map((number) => make("option", data.titles[number], { value: number })));
    select.addEventListener("change", () => { activate(panel); show(panel, Number(select.value)); });
    panel.addEventListener("pointerdown", () => activate(panel));
    show(panel, started[panel.dataset.side]);
  });
  activate(active);
  for (const name of ["layout", "colour", "alerts"]) {
    setting(name).addEventListener("change", () => panels.forEach((panel) => show(panel, Number(panel.dataset.bin))));
  }
  run.chosen.push((number) => {
    const kept = numbers.filter((each) => each !== data.whole);
    if (!kept.length) return;
    const nearest = kept.reduce((best, each) => (Math.abs(each - number) < Math.abs(best - number) ? each : best));
    show(active, nearest);
    if (nearest !== number) active.querySelector(".tip").textContent = "No graph is kept of that bin; this is the nearest that has one.";
  });
}
runs.forEach(traffic);
