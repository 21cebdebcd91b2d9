// What every page does: keys, theme, local times on hover, the help, and canceling an order from a list.

import "./keyboard.js";
import { Problem, ask, intention } from "./api.js";
import { $, toast } from "./dom.js";
import { say, sayOr } from "./text.js";

$("theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
  document.dispatchEvent(new Event("theme"));
});

$("signout")?.addEventListener("click", async () => {
  await ask("POST", "/signout");
  location.assign("/markets");
});

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) $(opener.dataset.open).showModal();
  const button = event.target.closest("[data-cancel]");
  if (!button) return;
  button.disabled = true;
  try {
    await ask("DELETE", `/v1/orders/${button.dataset.cancel}`, { key: intention() });
    toast(say("canceled"));
    document.dispatchEvent(new CustomEvent("canceled", { detail: button.dataset.cancel }));
    if (!button.closest("#orders")) button.closest("tr")?.remove();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast(sayOr(`code.${error.code}`, error.message));
    button.disabled = false;
  }
});

// Times of the log are UTC; the local one is a hint away.
document.addEventListener("pointerover", (event) => {
  const time = event.target.closest?.("time[datetime]");
  if (!time || time.dataset.local) return;
  time.dataset.local = "true";
  time.title = `${time.dateTime}\n${new Date(time.dateTime).toLocaleString(document.documentElement.lang)}`;
});
