// Starts the deck, keeps the path of 15 minutes, switches the notes' language, and runs the live moments.
(() => {
  const short = /[?&]short\b/.test(location.search);
  const receiver = /[?&]receiver\b/.test(location.search);
  const served = location.protocol.startsWith("http");

  // The path of 15 minutes leaves out slides of the talk; the answers behind it stay.
  const all = [...document.querySelectorAll(".slides > section")];
  if (short) all.filter((s) => !s.dataset.short && !s.matches(".behind")).forEach((s) => s.remove());
  const shown = [...document.querySelectorAll(".slides > section")];
  const talk = shown.filter((s) => !s.matches(".behind"));
  shown.forEach((s, i) => {
    if (short && s.dataset.short) s.dataset.timing = s.dataset.short;
    const leaps = short && s.querySelector(".notes .leap");
    s.querySelectorAll(leaps ? ".notes .next" : ".notes .leap").forEach((line) => line.remove());
    s.querySelector(".foot").textContent = i < talk.length ? `${i + 1} / ${talk.length}` : `${i + 1}`;
    s.querySelectorAll(".notes .at").forEach((at) => (at.textContent = `${talk.length + +at.dataset.at}. `));
  });

  Reveal.initialize({
    width: 1920, height: 1080, margin: 0, minScale: 0.05, maxScale: 4, center: false, hash: true,
    controls: false, progress: true, transition: "none", slideNumber: false, totalTime: short ? 900 : 2700,
    plugins: [RevealNotes],
    keyboard: { 75: () => language(), 82: () => run() }, // k and r
  });
  const run = () => Reveal.getCurrentSlide().querySelector(".live button.run")?.click();

  // The speaker window: both languages are in the notes, and a class of its page decides which is seen.
  let speaker = null, korean = false;
  const open = window.open;
  window.open = (...words) => {
    speaker = open.apply(window, words);
    const wait = setInterval(() => {
      if (!speaker || speaker.closed) return clearInterval(wait);
      const page = speaker.document;
      if (!page.querySelector("#speaker-controls, .speaker-controls-notes") || page.querySelector("#language")) return;
      clearInterval(wait);
      const style = page.createElement("style");
      style.textContent = document.querySelector("#speaker-style").textContent;
      page.head.append(style);
      const button = page.createElement("button");
      button.id = "language";
      button.textContent = "English / 한국어 (k)";
      button.onclick = language;
      page.body.append(button);
      page.addEventListener("keydown", (e) => e.key === "k" && language());
      show();
    }, 100);
    return speaker;
  };
  function language() {
    korean = !korean;
    show();
  }
  function show() {
    document.documentElement.classList.toggle("korean", korean);
    speaker?.document?.documentElement?.classList.toggle("korean", korean);
  }

  document.querySelectorAll(".live").forEach((box) => {
    const stored = [...box.querySelectorAll(".screen img")];
    const [slider, says, button] = [".at", ".says", ".run"].map((name) => box.querySelector(name));
    const [line, last] = [box.querySelector("polyline"), +box.dataset.evaluations];
    let timer = null;
    const look = (i) => {
      if (stored[0].dataset.stored) stored[0].src = stored[0].dataset.stored; // a live picture was in its place
      stored.forEach((picture, j) => (picture.hidden = i !== j));
      slider.value = i;
      says.textContent = `Stored result: after ${stored[i].dataset.n} evaluations`;
    };
    slider.max = stored.length - 1;
    slider.oninput = () => { clearInterval(timer); look(+slider.value); slider.blur(); };
    // Without a machine beside it, or with a slow one, the stored pictures go by.
    const film = (why) => {
      clearInterval(timer);
      let i = 0;
      look(0);
      timer = setInterval(() => {
        if (++i >= stored.length) return clearInterval(timer);
        look(i);
        says.textContent += why;
      }, 700);
    };
    box.querySelectorAll(".choices button").forEach((choice) => {
      choice.onclick = (e) => {
        const count = choice.querySelector("b");
        count.textContent = Math.max(0, +count.textContent + (e.shiftKey ? -1 : 1));
        choice.blur();
      };
    });
    const ask = async (path) => {
      const answer = await fetch(`${path}?what=${box.dataset.run}`, {
        headers: { "X-Talk": "1" }, signal: AbortSignal.timeout(4000),
      });
      if (!answer.ok) throw new Error(answer.status);
      return answer.json();
    };
    button.onclick = async () => {
      button.blur();
      if (!served || receiver) return film(". No computation runs beside this page.");
      clearInterval(timer);
      const began = performance.now();
      try {
        await ask("start");
        for (;;) {
          const now = await ask("state");
          const seconds = (performance.now() - began) / 1000;
          if (now.trouble) throw new Error(now.trouble);
          if (now.number) {
            stored.forEach((picture) => (picture.hidden = picture !== stored[0]));
            stored[0].dataset.stored ??= stored[0].src;
            stored[0].src = now.picture;
            const top = Math.log(now.losses[0]), low = Math.min(...now.losses.map(Math.log), top - 1);
            const place = (v, i) => `${(i / last) * 100},${2 + ((top - Math.log(v)) / (top - low)) * 96}`;
            line.setAttribute("points", now.losses.map((v, i) => place(Math.min(v, now.losses[0]), i)).join(" "));
            says.textContent = `Live: evaluation ${now.number} of ${last}, ${now.left} % of the first loss left`;
          }
          if (now.done) return;
          // So slow that nobody would wait: the stored result takes over.
          if (seconds > 8 && (now.number / last) < seconds / +box.dataset.patience) throw new Error("slow");
          await new Promise((wake) => setTimeout(wake, 250));
        }
      } catch (trouble) {
        fetch(`stop?what=${box.dataset.run}`, { headers: { "X-Talk": "1" } }).catch(() => {});
        film(trouble.message === "slow" ? ". This machine is slow now." : ". The computation did not answer.");
      }
    };
    says.textContent = served && !receiver ? "Press r to compute it now." : "Press r to play the stored result.";
  });
})();
