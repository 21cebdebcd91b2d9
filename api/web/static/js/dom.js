// Building and changing elements with text alone: nothing that comes from outside is ever read as markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children (elements or text). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text only where it differs, and mark it for a moment if asked to. */
export function put(element, text, flash = false) {
  if (element.textContent === text) return;
  element.textContent = text;
  if (flash) mark(element);
}

/** A short highlight on a change. */
export function mark(element) {
  element.classList.remove("fresh");
  void element.offsetWidth;
  element.classList.add("fresh");
  setTimeout(() => element.classList.remove("fresh"), 900);
}

/** A message in the corner that leaves by itself. */
export function toast(text) {
  const box = make("div", { class: "toast" }, text);
  $("toasts").append(box);
  setTimeout(() => box.remove(), 5000);
}

/** Let arrow keys move between the tabs of a list, and tell which was chosen. */
export function tabs(list, choose) {
  const all = [...list.querySelectorAll('[role="tab"]')];
  const select = (tab, focus) => {
    for (const other of all) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
    }
    if (focus) tab.focus();
    choose(tab);
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) select(tab, false);
  });
  list.addEventListener("keydown", (event) => {
    const at = all.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    select(all[(at + step + all.length) % all.length], true);
  });
  return { select: (tab) => select(tab, false), all };
}
