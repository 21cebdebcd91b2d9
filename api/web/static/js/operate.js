// Halting and resuming trading in a series.

import { Problem, ask, intention } from "./api.js";
import { $ } from "./dom.js";
import { sayOr } from "./text.js";

async function tell(url, body) {
  put("");
  try {
    const answer = await ask("POST", url, { body, key: intention() });
    location.assign(`/operate?after=${answer.position}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    put(`✕ ${sayOr(`code.${error.code}`, error.message)}`);
  }
}

const put = (text) => {
  if ($("halt-wrong")) $("halt-wrong").textContent = text;
};

$("halt")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { series, reason, note } = event.target.elements;
  const number = [...document.querySelectorAll("#symbols option")].find((option) => option.value === series.value);
  const body = { reason: reason.value };
  if (note.value.trim()) body.note = note.value.trim();
  tell(`/v1/series/${encodeURIComponent(number?.dataset.id ?? series.value)}/halt`, body);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-resume]");
  if (button) tell(`/v1/series/${button.dataset.resume}/resume`);
});
