// Layer browser: VGG19 as blocks to click, the strongest nine maps, and what belongs to what on the picture.
export default {
  render({ model, el }) {
    let data, layer, root;
    const draw = () => {
      data = model.get("data");
      if (data.asks || !data.layers.some((l) => l.name === layer)) layer = data.start;
      root = begin(el);
      if (data.asks) root.append(own());
      const network = make("div", { className: "row", role: "radiogroup", ariaLabel: "layers of VGG19" });
      for (const block of data.network) {
        const box = make("div", { style: "border:1px solid currentColor;border-radius:6px;padding:4px;display:flex;gap:3px" });
        for (const name of block) {
          const there = data.layers.some((l) => l.name === name);
          const button = make("button", { type: "button", textContent: name, disabled: !there && !data.asks, style: `padding:2px 5px;font-size:11px;${name === layer ? "background:#0072b2;color:#fff;" : there || data.asks ? "" : "opacity:.4;"}` });
          button.setAttribute("role", "radio");
          button.setAttribute("aria-checked", name === layer);
          button.addEventListener("click", () => {
            if (!there) return ask({ layer: name });
            layer = name; draw(); root.querySelector('[aria-checked="true"]').focus();
          });
          box.append(button);
        }
        network.append(box);
      }
      root.append(network, show(data.layers.find((l) => l.name === layer)));
    };
    const ask = (what) => { model.set("asked", { ...what, number: Date.now() }); model.save_changes(); };
    // A picture of one's own, made small here: what travels to the kernel is a JPEG of 512 px at most.
    const send = (image, width, height, label) => {
      const factor = Math.min(1, 512 / Math.max(width, height));
      const canvas = make("canvas", { width: Math.max(1, Math.round(width * factor)), height: Math.max(1, Math.round(height * factor)) });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      ask({ picture: canvas.toDataURL("image/jpeg", 0.92), label });
    };
    const own = () => {
      const said = make("span", { role: "alert", textContent: data.said || "" });
      const choice = make("select", { ariaLabel: "picture" }, ...data.pictures.map((n) => make("option", { value: n, textContent: n, selected: n === data.label })));
      choice.addEventListener("change", () => ask({ name: choice.value }));
      const file = make("input", { type: "file", accept: "image/*", ariaLabel: "a picture of your own" });
      file.addEventListener("change", async () => {
        const chosen = file.files[0];
        if (!chosen) return;
        try { const image = await createImageBitmap(chosen); send(image, image.width, image.height, chosen.name); }
        catch { said.textContent = `${chosen.name} is not a picture that this browser can read; use JPEG or PNG.`; }
      });
      const camera = make("button", { type: "button", textContent: "camera" });
      camera.addEventListener("click", async () => {
        try {
          const video = make("video", { muted: true, srcObject: await navigator.mediaDevices.getUserMedia({ video: true }) });
          await video.play();
          send(video, video.videoWidth, video.videoHeight, "camera");
          video.srcObject.getTracks().forEach((track) => track.stop());
        } catch { said.textContent = "There is no camera here, or this page may not use it."; }
      });
      return make("div", { className: "row" }, choice, file, camera, said);
    };
    const show = (l) => {
      const { width: W, height: H } = data, scale = 320 / W, bytes = Uint8Array.from(atob(l.maps), (c) => c.charCodeAt(0)), M = l.width * l.height;
      const frame = make("div", { className: "field", style: "position:absolute;border:3px solid #e69f00;box-shadow:0 0 0 1px #000;pointer-events:none;display:none" });
      const picture = make("div", { style: `position:relative;width:320px;height:${Math.round(H * scale)}px;overflow:hidden;cursor:crosshair` }, make("img", { src: data.url, alt: data.label, style: "width:100%;height:100%" }), frame);
      const said = make("p", { role: "status", textContent: `${l.name}: ${l.count} feature maps of ${l.width} × ${l.height} positions; one value depends on ${l.field} × ${l.field} px.` });
      const grid = make("div", { style: "display:grid;grid-template-columns:repeat(3,auto);gap:6px" });
      const values = l.names.map(() => make("figcaption"));
      const marks = [];
      l.names.forEach((name, n) => {
        const canvas = make("canvas", { width: l.width, height: l.height, className: "pixels", tabIndex: 0, style: "width:118px;cursor:crosshair" });
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `feature map ${name}, mean ${l.means[n]}`);
        const context = canvas.getContext("2d"), image = context.createImageData(l.width, l.height);
        for (let k = 0; k < M; k++) { const v = bytes[n * M + k]; image.data.set([v, v, v, 255], 4 * k); }
        context.putImageData(image, 0, 0);
        const mark = make("div", { style: "position:absolute;width:7px;height:7px;border:2px solid #e69f00;pointer-events:none;display:none;transform:translate(-50%,-50%)" });
        marks.push(mark);
        const at = (event) => {
          const box = canvas.getBoundingClientRect();
          point(Math.floor(l.width * (event.clientX - box.left) / box.width), Math.floor(l.height * (event.clientY - box.top) / box.height), n);
        };
        canvas.addEventListener("pointermove", at);
        canvas.addEventListener("pointerdown", at);
        canvas.addEventListener("focus", () => patches(n));
        let place = [Math.floor(l.width / 2), Math.floor(l.height / 2)];
        canvas.addEventListener("keydown", (event) => {
          const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
          if (!step) return;
          event.preventDefault(); event.stopPropagation();
          place = [place[0] + step[0], place[1] + step[1]];
          place = point(...place, n);
        });
        grid.append(make("figure", { style: "position:relative" }, canvas, mark, values[n]));
        values[n].textContent = `map ${name}`;
      });
      const best = make("div", { className: "row" });
      const patches = (n) => {
        if (!l.patches) return;
        best.replaceChildren(`Patches of all pictures that excite map ${l.names[n]} most: `, ...l.patches[n].map((url, i) => make("img", { src: url, alt: `patch ${i + 1} for map ${l.names[n]}`, style: "height:56px" })));
      };
      const point = (column, row, n) => {
        column = Math.min(l.width - 1, Math.max(0, column)); row = Math.min(l.height - 1, Math.max(0, row));
        const centre = [(column + 0.5) * l.stride * scale, (row + 0.5) * l.stride * scale], half = l.field * scale / 2;
        Object.assign(frame.style, { display: "block", left: `${centre[0] - half}px`, top: `${centre[1] - half}px`, width: `${2 * half}px`, height: `${2 * half}px`, boxSizing: "border-box" });
        l.names.forEach((name, m) => {
          const value = bytes[m * M + row * l.width + column] / 255 * l.largest[m];
          values[m].textContent = `map ${name}: ${value.toPrecision(3)}`;
          const width = 118, height = width * l.height / l.width;
          Object.assign(marks[m].style, { display: "block", left: `${(column + 0.5) / l.width * width}px`, top: `${(row + 0.5) / l.height * height}px` });
        });
        said.textContent = `${l.name}, position ${column + 1} of ${l.width}, ${row + 1} of ${l.height}: the frame is the ${l.field} × ${l.field} px that this value depends on.`;
        if (n !== undefined) patches(n);
        return [column, row];
      };
      picture.addEventListener("pointermove", (event) => {
        const box = picture.getBoundingClientRect();
        point(Math.floor((event.clientX - box.left) / scale / l.stride), Math.floor((event.clientY - box.top) / scale / l.stride));
      });
      patches(0);
      return make("div", {}, said, make("div", { className: "row", style: "align-items:flex-start" }, picture, grid), best);
    };
    model.on("change:data", draw);
    draw();
  },
};
