// What the page says: the messages of its language, and numbers as people read them. Numbers stay decimal text: exact.

const messages = JSON.parse(document.getElementById("words").textContent);
export const MINUS = "\u2212";

/** The message of a key, with its {places} filled. */
export function say(key, places = {}) {
  const text = messages[key];
  if (text === undefined) throw new Error(`no message ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(places[name]));
}

/** The message of a key where there is one, else the other text: codes of the rulebook have names. */
export const sayOr = (key, other) => messages[key] ?? other;

/** Plain decimal text with grouped thousands and a true minus sign; a dash for nothing. */
export function grouped(text) {
  if (text === null || text === undefined) return "–";
  const plain = String(text);
  const negative = plain.startsWith("-");
  const [whole, decimals] = plain.replace("-", "").split(".");
  const digits = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (negative ? MINUS : "") + digits + (decimals === undefined ? "" : `.${decimals}`);
}

/** Decimal text as an integer of its last decimal: "12.40" is 1240n. Texts of one series share their decimals. */
export const scaled = (text) => BigInt(text.replace(".", ""));

/** HH:MM:SS in UTC of an RFC 3339 time of today, month and day with it of an earlier one. */
export function clock(time) {
  const today = new Date().toISOString().slice(0, 10);
  return time.startsWith(today) ? time.slice(11, 19) : `${time.slice(5, 10)} ${time.slice(11, 16)}`;
}

/** A time of the log in UTC, to the second. */
export const moment = (time) => time.slice(0, 19).replace("T", " ");

/** By how much a price has changed, as percent of what it was, with its arrow: never a color alone. */
export function change(last, difference) {
  const base = Number(last) - Number(difference);
  if (!base) return { text: "–", way: "quiet" };
  const percent = (Number(difference) / base) * 100;
  const shown = `${Math.abs(percent).toFixed(2).replace(/\.?0+$/, "")}${sayOr("percent", " %")}`;
  if (percent > 0) return { text: `▲ ${shown}`, way: "up" };
  if (percent < 0) return { text: `▼ ${shown}`, way: "down" };
  return { text: shown, way: "quiet" };
}
