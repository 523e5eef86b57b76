// Through a run: a slider over its pictures, with a marker that moves along the loss curve.
export default {
  render({ model, el }) {
    const data = model.get("data"), frames = data.frames, root = begin(el), last = frames.length - 1;
    const image = make("img", { width: data.width, height: data.height, style: "max-width:100%" });
    const chart = make("div", { innerHTML: data.curves });
    const svg = chart.querySelector("svg");
    const marker = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [name, value] of Object.entries({ y1: 8, y2: data.bottom, stroke: "#e69f00", "stroke-width": 3 })) marker.setAttribute(name, value);
    svg.append(marker);
    const range = make("input", { type: "range", min: 0, max: last, value: last, style: "flex:1;min-width:160px" });
    range.setAttribute("aria-label", "evaluation");
    const label = make("output", { style: "min-width:15em" });
    const play = make("button", { type: "button", textContent: "play" });
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "play"; };
    const show = () => {
      const frame = frames[range.value];
      image.src = frame.url;
      image.alt = `the picture after ${frame.number} evaluations`;
      marker.setAttribute("x1", frame.x);
      marker.setAttribute("x2", frame.x);
      label.textContent = frame.number ? `evaluation ${frame.number}, total loss ${frame.loss}` : "the start";
      range.setAttribute("aria-valuetext", label.textContent);
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+range.value === last) range.value = 0;
      play.textContent = "pause";
      show();
      timer = setInterval(() => { range.value = +range.value + 1; show(); if (+range.value === last) stop(); }, 350);
    });
    range.addEventListener("input", () => { stop(); show(); });
    const row = make("div", { className: "row" }, play, range, label);
    if (data.film) row.append(make("a", { className: "button", href: data.film, download: "run.webp", textContent: "save as WebP" }));
    root.append(make("div", { className: "row" }, image, chart), row);
    show();
  },
};
