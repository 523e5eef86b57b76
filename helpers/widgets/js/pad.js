// α/β: a point to drag between style and content; the nearest picture of a sweep, and its two losses.
export default {
  render({ model, el }) {
    let place = 0.5;
    const draw = () => {
      const { pictures, width, height, low, high, asks, said } = model.get("data"), root = begin(el);
      const at = (ratio) => (Math.log10(ratio) - low) / (high - low), ratio = () => 10 ** (low + place * (high - low));
      const image = make("img", { width, height, style: "max-width:100%" });
      const words = make("p", { role: "status", style: "margin:4px 0" });
      const bars = make("div", { style: "min-width:170px;flex:1" });
      const track = make("div", { style: "position:relative;height:34px;margin:8px 12px;touch-action:none;cursor:ew-resize;border-bottom:3px solid currentColor" });
      for (const p of pictures)
        track.append(make("div", { title: `α/β ${p.ratio}`, style: `position:absolute;left:${100 * at(p.ratio)}%;bottom:-7px;width:3px;height:11px;background:currentColor;transform:translateX(-50%)` }));
      const point = make("div", { tabIndex: 0, role: "slider", style: "position:absolute;bottom:-13px;width:22px;height:22px;border-radius:50%;background:#d55e00;border:3px solid #fff;box-shadow:0 0 0 1.5px #000;transform:translateX(-50%)" });
      point.setAttribute("aria-label", "α/β, from style to content");
      point.setAttribute("aria-valuemin", low); point.setAttribute("aria-valuemax", high);
      track.append(point);
      const nearest = () => pictures.reduce((a, b) => (Math.abs(at(b.ratio) - place) < Math.abs(at(a.ratio) - place) ? b : a));
      const bar = (name, part, colour) => {
        const share = Math.max(0.02, Math.min(1, 1 + Math.log10(Math.max(part, 1e-3)) / 3));
        return [make("div", { textContent: `${name}: ${(100 * part).toPrecision(2)} % of that of white noise` }), make("div", { style: `height:12px;margin-bottom:8px;background:${colour};width:${100 * share}%` })];
      };
      const show = () => {
        const p = nearest();
        point.style.left = `${100 * place}%`;
        point.setAttribute("aria-valuenow", (low + place * (high - low)).toFixed(2));
        point.setAttribute("aria-valuetext", `α/β ${ratio().toPrecision(2)}; shown is ${p.ratio.toPrecision(2)}`);
        image.src = p.url; image.alt = `x with α/β ${p.ratio.toPrecision(2)}`;
        words.textContent = `The point is at α/β ${ratio().toPrecision(2)}; the nearest computed picture has ${p.ratio.toPrecision(2)}.`;
        bars.replaceChildren(...bar("content loss D_c", p.content, "#0072b2"), ...bar("style loss D_s", p.style, "#d55e00"), make("small", { textContent: "Bars are logarithmic: full is the loss of white noise, a third less is a tenth of it." }));
      };
      const move = (to) => { place = Math.min(1, Math.max(0, to)); show(); };
      const drag = (event) => {
        if (event.type === "pointermove" && !event.buttons) return;
        const box = track.getBoundingClientRect();
        move((event.clientX - box.left) / box.width);
      };
      track.addEventListener("pointerdown", (event) => { track.setPointerCapture(event.pointerId); drag(event); point.focus(); });
      track.addEventListener("pointermove", drag);
      point.addEventListener("keydown", (event) => {
        const to = { ArrowLeft: place - 0.02, ArrowDown: place - 0.02, ArrowRight: place + 0.02, ArrowUp: place + 0.02, Home: 0, End: 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault(); event.stopPropagation();
        move(to);
      });
      const ends = make("div", { style: "display:flex;justify-content:space-between" }, make("span", { textContent: "← style counts more" }), make("span", { textContent: "content counts more →" }));
      root.append(make("div", { className: "row", style: "align-items:flex-start" }, image, bars), track, ends, words);
      if (asks) {
        const button = make("button", { type: "button", textContent: "compute the picture at the point" }), note = make("span", { role: "alert", textContent: said || "" });
        button.addEventListener("click", () => {
          note.textContent = "Computing …";
          model.set("asked", { ratio: +ratio().toPrecision(3), number: Date.now() });
          model.save_changes();
        });
        root.append(make("div", { className: "row" }, button, note));
      }
      show();
    };
    model.on("change:data", draw);
    draw();
  },
};
