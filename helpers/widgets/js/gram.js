// One entry of a Gram matrix: two feature maps, their product, and where in the picture it comes from.
export default {
  render({ model, el }) {
    const data = model.get("data"), { height, width, names } = data, N = names.length, M = height * width;
    const bytes = Uint8Array.from(atob(data.maps), (c) => c.charCodeAt(0));
    const stored = names.map((_, i) => Float32Array.from(bytes.subarray(i * M, (i + 1) * M), (v) => v / 255));
    let order = Uint32Array.from({ length: M }, (_, k) => k), chosen = [0, 1];
    const root = begin(el), side = 288, cell = side / N;
    const canvas = (w, h, label) => { const c = make("canvas", { width: w, height: h, className: "pixels" }); c.setAttribute("role", "img"); c.setAttribute("aria-label", label); return c; };
    const matrix = canvas(side, side, "Gram matrix");
    matrix.tabIndex = 0;
    matrix.style.cursor = "crosshair";
    const views = ["map i", "map j", "product"].map((label) => { const c = canvas(width, height, label); c.style.cssText = "width:150px"; return c; });
    const captions = views.map(() => make("figcaption"));
    const said = make("p", { role: "status" });
    const value = (i, j) => { let sum = 0; for (let k = 0; k < M; k++) sum += stored[i][order[k]] * stored[j][order[k]]; return sum / M; };
    const heat = (v) => { const t = Math.min(1, Math.max(0, v)); return [255 * Math.min(1, 2.2 * t), 255 * Math.max(0, 1.6 * t - 0.5), 255 * (0.25 + 0.5 * Math.sin(Math.PI * t))]; };
    const paint = (target, values) => {
      const context = target.getContext("2d"), data = context.createImageData(width, height), most = Math.max(...values) || 1;
      values.forEach((v, k) => data.data.set([...heat(v / most), 255], 4 * k));
      context.putImageData(data, 0, 0);
    };
    let G = [];
    const compute = () => { G = names.map((_, i) => names.map((_, j) => value(i, j))); };
    const draw = () => {
      const context = matrix.getContext("2d"), most = Math.log1p(100 * Math.max(...G.flat()));
      G.forEach((row, i) => row.forEach((v, j) => { context.fillStyle = `rgb(${heat(Math.log1p(100 * v) / most)})`; context.fillRect(j * cell, i * cell, cell, cell); }));
      const [i, j] = chosen;
      context.strokeStyle = "#fff"; context.lineWidth = 3; context.strokeRect(j * cell + 1.5, i * cell + 1.5, cell - 3, cell - 3);
      const moved = [i, j].map((n) => Array.from(order, (k) => stored[n][k]));
      const product = moved[0].map((v, k) => v * moved[1][k]);
      [moved[0], moved[1], product].forEach((values, n) => paint(views[n], values));
      captions[0].textContent = `map ${names[i]}`; captions[1].textContent = `map ${names[j]}`; captions[2].textContent = "product, position by position";
      said.textContent = `Row ${names[i]}, column ${names[j]}: mean of the product over ${M} positions ${G[i][j].toFixed(4)}${i === j ? " (the map with itself)" : ""}.`;
      matrix.setAttribute("aria-label", `Gram matrix of ${N} feature maps. ${said.textContent}`);
    };
    const pick = (event) => {
      const box = matrix.getBoundingClientRect(), at = (p, size) => Math.min(N - 1, Math.max(0, Math.floor(N * p / size)));
      chosen = [at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width)];
      draw();
    };
    matrix.addEventListener("pointermove", pick);
    matrix.addEventListener("pointerdown", pick);
    matrix.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault(); event.stopPropagation();
      chosen = chosen.map((n, d) => Math.min(N - 1, Math.max(0, n + step[d])));
      draw();
    });
    const shuffle = make("button", { type: "button", textContent: "shuffle the positions" });
    shuffle.addEventListener("click", () => {
      const before = G.flat();
      for (let k = M - 1; k > 0; k--) { const other = Math.floor(Math.random() * (k + 1)); [order[k], order[other]] = [order[other], order[k]]; }
      compute(); draw();
      const apart = Math.max(...G.flat().map((v, n) => Math.abs(v - before[n])));
      said.textContent += ` Shuffled: the largest change of an entry is ${apart.toExponential(0)}.`;
    });
    const back = make("button", { type: "button", textContent: "put them back" });
    back.addEventListener("click", () => { order = order.map((_, k) => k); compute(); draw(); });
    const picture = make("figure", {}, make("img", { src: data.picture, alt: "the picture", style: "width:150px" }), make("figcaption", { textContent: "the picture" }));
    const figures = views.map((view, n) => make("figure", {}, view, captions[n]));
    root.append(make("div", { className: "row" }, matrix, make("div", { className: "row", style: "max-width:370px" }, picture, ...figures)), make("div", { className: "row" }, shuffle, back), said);
    compute(); draw();
  },
};
