// Keys of the whole page: search, help, going places, moving through rows. None of them works while somebody writes.

import { $ } from "./dom.js";

const PLACES = { m: "/markets", p: "/portfolio", r: "/revenue", a: "/audit", o: "/operate" };
const own = new Map();
let going = false;

/** Let a page answer keys of its own. */
export function onKey(key, act) {
  own.set(key, act);
}

const writing = (element) => element.matches("input:not([type=radio]), textarea, select") || element.isContentEditable;

function rows() {
  const table = document.activeElement.closest("table[data-rows]") ?? document.querySelector("table[data-rows]");
  return table ? [...table.tBodies[0].rows] : [];
}

function step(by) {
  const all = rows();
  const next = all[all.indexOf(document.activeElement.closest("tr")) + by] ?? (by > 0 ? all[0] : null);
  if (!next) return;
  next.tabIndex = -1;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { key, target } = event;
  if (writing(target)) {
    if (key === "Escape") target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (going) {
    going = false;
    if (PLACES[key]) location.assign(PLACES[key]);
    return;
  }
  const act = own.get(key) ?? {
    "/": () => ($("search") ?? $("jump")).focus(),
    "?": () => $("help").showModal(),
    g: () => { going = true; },
    j: () => step(1),
    k: () => step(-1),
  }[key];
  if (act) {
    event.preventDefault();
    act();
  } else if (key === "Enter" && target.matches("tr")) {
    target.querySelector("a")?.click();
  }
});
