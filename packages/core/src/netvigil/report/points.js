// Projections: points on a canvas, turned by dragging where there are three dimensions.
function cloud(run) {
  const points = run.data.points;
  const section = run.article.querySelector("section.points");
  if (!points || !section) return;
  const canvas = section.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const tip = section.querySelector(".tip");
  const key = section.querySelector(".key");
  const controls = section.querySelector(".controls");
  controls.hidden = false;
  const setting = (name) => controls.querySelector(`[name="${name}"]`).value;
  const hidden = new Set();
  let turn = [0.6, 0.35];
  let placed = [];

  const calm = (name) => run.data.calm.includes(name);
  const tone = (place) => css(calm(points.classes[place]) ? "--benign" : `--s${place % 10}`);
  const heat = (rank) => `hsl(${Math.round(250 - 0.22 * rank)} 75% ${Math.round(35 + 0.025 * rank)}%)`;

  function project(point) {
    if (point.length === 2) return [point[0], point[1], 0];
    const [a, b] = turn;
    const x = point[0] * Math.cos(a) - point[2] * Math.sin(a);
    const z = point[0] * Math.sin(a) + point[2] * Math.cos(a);
    return [0.8 * x, 0.8 * (point[1] * Math.cos(b) - z * Math.sin(b)), point[1] * Math.sin(b) + z * Math.cos(b)];
  }

  function paint() {
    const view = points.views[`${setting("space")}|${setting("method")}|${setting("dims")}`];
    const { width, height } = canvas;
    pen.clearRect(0, 0, width, height);
    const unit = (0.47 * Math.min(width, height)) / 1000;
    const tones = points.classes.map((_, place) => tone(place));
    placed = view.map((point, k) => {
      const [x, y, z] = project(point);
      return { k, x: width / 2 + x * unit * 1.3, y: height / 2 - y * unit, z, shown: !hidden.has(points.class[k]) };
    }).filter((each) => each.shown);
    const front = (each) => (setting("dims") === "3" ? each.z : calm(points.classes[points.class[each.k]]) ? 0 : 1);
    for (const each of [...placed].sort((a, b) => front(a) - front(b))) {
      const quiet = calm(points.classes[points.class[each.k]]);
      pen.globalAlpha = quiet ? 0.5 : 0.85;
      pen.fillStyle = setting("colour") === "score" ? heat(points.rank[each.k]) : tones[points.class[each.k]];
      pen.beginPath();
      pen.arc(each.x, each.y, (quiet ? 3.2 : 4.2) * (setting("dims") === "3" ? 1 + each.z / 4000 : 1), 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  function legend() {
    key.replaceChildren();
    if (setting("colour") === "score") {
      for (const [rank, words] of [[1000, "highest scores"], [500, "middle of the sample"], [0, "lowest scores"]]) {
        const item = make("li");
        item.append(make("i", "", { style: `background: ${heat(rank)}` }), words);
        key.append(item);
      }
      return;
    }
    points.classes.forEach((name, place) => {
      const drawn = points.class.filter((each) => each === place).length;
      const item = make("li", null, { class: hidden.has(place) ? "off" : "" });
      item.append(make("i", "", { style: `background: ${tone(place)}` }), `${name}: ${say(drawn)} of ${say(points.of[place])}`);
      item.addEventListener("click", () => {
        if (!hidden.delete(place)) hidden.add(place);
        legend();
        paint();
      });
      key.append(item);
    });
  }

  const update = () => { legend(); paint(); };
  controls.addEventListener("change", update);
  let from = null;
  canvas.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, ...turn]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (from && setting("dims") === "3") {
      turn = [from[2] + (event.clientX - from[0]) / 150, from[3] + (event.clientY - from[1]) / 150];
      paint();
      return;
    }
    const box = canvas.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
    const near = placed.reduce((best, each) => (Math.hypot(each.x - x, each.y - y) < Math.hypot(best.x - x, best.y - y) ? each : best), { x: -1e9, y: -1e9 });
    tip.textContent = Math.hypot(near.x - x, near.y - y) > 14 ? "" : `flow ${points.flow[near.k]}: ${points.classes[points.class[near.k]]}, score ${say(points.score[near.k])}`;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  update();
}
runs.forEach(cloud);
