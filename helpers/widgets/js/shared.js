// What all views share. Colours are those of the page, so that they hold in light and in dark.
const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    name in element && name !== "style" && name !== "list" ? (element[name] = value) : element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const STYLE = `
.nst { color: inherit; font: 13px/1.4 system-ui, sans-serif; max-width: 100%; }
.nst button, .nst select, .nst a.button { font: inherit; color: inherit; background: transparent; border: 1.5px solid currentColor;
  border-radius: 5px; padding: 3px 10px; cursor: pointer; text-decoration: none; }
.nst select option { color: #111; background: #fff; }
.nst input[type=range] { accent-color: #0072b2; vertical-align: middle; }
.nst :focus-visible { outline: 3px solid #e69f00; outline-offset: 2px; }
.nst .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 6px 0; }
.nst figure { margin: 0; } .nst figcaption { text-align: center; }
.nst canvas, .nst img { image-rendering: auto; }
.nst .pixels { image-rendering: pixelated; }
.jupyter-widgets-disconnected::before { display: none !important; }
`;
const begin = (el) => {
  const root = make("div", { className: "nst" }, make("style", { textContent: STYLE }));
  el.replaceChildren(root);
  return root;
};
