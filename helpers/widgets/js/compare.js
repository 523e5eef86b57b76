// Before and after: two of several pictures in one place, and a border between them to drag.
export default {
  render({ model, el }) {
    const draw = () => this.draw(el, model.get("data"));
    model.on("change:data", draw);
    draw();
  },
  draw(el, { pictures, width, height }) {
    const root = begin(el);
    const stage = make("div", { style: `position:relative;width:${width}px;max-width:100%;aspect-ratio:${width}/${height};overflow:hidden;touch-action:none;cursor:ew-resize;` });
    const cover = "position:absolute;inset:0;width:100%;height:100%;";
    const [below, above] = [0, 1].map(() => make("img", { style: cover, draggable: false }));
    const border = make("div", { style: "position:absolute;top:0;bottom:0;width:3px;background:#fff;box-shadow:0 0 3px #000;transform:translateX(-50%);pointer-events:none;" });
    const range = make("input", { type: "range", min: 0, max: 100, value: 50, style: `width:${width}px;max-width:100%;` });
    range.setAttribute("aria-label", "Where the border between the two pictures is");
    stage.append(below, above, border);
    const choose = (value, label) => {
      const select = make("select", { ariaLabel: label }, ...pictures.map((p, i) => make("option", { value: i, textContent: p.label })));
      select.value = value;
      select.addEventListener("change", update);
      return select;
    };
    const left = choose(0, "left picture"), right = choose(pictures.length - 1, "right picture");
    function update() {
      const [a, b] = [pictures[left.value], pictures[right.value]];
      above.src = a.url; above.alt = a.label; below.src = b.url; below.alt = b.label;
      above.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`;
      border.style.left = `${range.value}%`;
      range.setAttribute("aria-valuetext", `${range.value} % ${a.label}, the rest ${b.label}`);
    }
    const drag = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = stage.getBoundingClientRect();
      range.value = Math.round(100 * (event.clientX - box.left) / box.width);
      update();
    };
    stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); drag(event); });
    stage.addEventListener("pointermove", drag);
    range.addEventListener("input", update);
    root.append(make("div", { className: "row" }, "left: ", left, " right: ", right), stage, range);
    update();
  },
};
