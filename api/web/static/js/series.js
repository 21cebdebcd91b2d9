// The trading screen: wires the stream and the API to the panes.

import { ask } from "./api.js";
import { Book } from "./book.js";
import { Chart } from "./chart.js";
import { $, put, tabs } from "./dom.js";
import { Feed, showAge } from "./feed.js";
import { onKey } from "./keyboard.js";
import { Ladder } from "./ladder.js";
import { Mine } from "./mine.js";
import { Tape } from "./tape.js";
import { change, grouped, say } from "./text.js";
import { Ticket } from "./ticket.js";

const series = JSON.parse($("series").textContent);
const only = { series: [series.id] };

const feed = new Feed((age, position, lag) => {
  $("desk").dataset.feed = age;
  const at = say("position", { position: grouped(String(position)) });
  showAge($("age"), age, lag === null ? at : `${at} · ${grouped(String(lag))} ms`);
});

// -- panes of a phone -------------------------------------------------------------------------------------------------

const panes = tabs(document.querySelector(".desk-tabs"), (tab) => {
  $("desk").dataset.tab = tab.dataset.tab;
  history.replaceState(null, "", `#${tab.dataset.tab}`);
});
const pane = (name) => panes.select(panes.all.find((tab) => tab.dataset.tab === name));
if (panes.all.some((tab) => `#${tab.dataset.tab}` === location.hash)) pane(location.hash.slice(1));
["chart", "book", "ticket", "mine"].forEach((name, at) => onKey(String(at + 1), () => {
  pane(name);
  $(`pane-${name}`).querySelector("button, input:not([type=radio]), [tabindex='0']")?.focus();
}));

// -- ticket and book --------------------------------------------------------------------------------------------------

const ticket = new Ticket($("ticket"), series, (order) => {
  if (mine && order.fills) mine.readGrants(order.position).catch(() => {});
});
const open = (side) => {
  pane("ticket");
  ticket.open(side);
};
onKey("b", () => open("buy"));
onKey("s", () => open("sell"));

const book = new Book();
const ladder = new Ladder({ asks: $("asks"), bids: $("bids"), mid: $("mid"), note: $("mid-note") }, (price, from) => {
  pane("ticket");
  ticket.take(price, from);
});

feed.subscribe("book", only, (message) => {
  const same = book.apply(message);
  ladder.show(book);
  const best = book.asks.best()[0] ?? book.bids.best()[0];
  const { price } = $("ticket").elements;
  if (best && !price.value && !price.dataset.touched) {
    price.dataset.touched = "true";
    price.value = best.price;
    ticket.changed();
  }
  return same;
});

// -- trades and ticker ------------------------------------------------------------------------------------------------

const tape = new Tape($("trades"), $("trades-empty"));
feed.subscribe("trades", only, (message) => tape.take(message));
ask("GET", `/v1/series/${series.id}/trades?limit=40`).then(({ data }) => tape.take({ type: "snapshot", trades: data }), () => {});

let lastPrice = series.last;
if (lastPrice !== null) ladder.last(lastPrice, "");
feed.subscribe("ticker", only, (message) => {
  if (message.last) {
    const moved = lastPrice === null ? 0 : Number(message.last) - Number(lastPrice);
    lastPrice = message.last;
    put($("last"), grouped(message.last), moved !== 0);
    const { text, way } = change(message.last, message.day.change);
    put($("change"), text);
    $("change").className = `change num ${way}`;
    put($("volume"), grouped(message.day.quantity));
    ladder.last(message.last, moved > 0 ? "up" : moved < 0 ? "down" : "");
  }
  put($("spread"), grouped(message.spread));
});

// -- chart ------------------------------------------------------------------------------------------------------------

const chart = new Chart($("chart"), $("legend"), series);
document.addEventListener("theme", () => chart.paint());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.paint());

const spans = [...document.querySelectorAll("[data-span]")];
async function show(interval) {
  for (const button of spans) button.setAttribute("aria-pressed", String(button.dataset.span === interval));
  await chart.span(interval);
}
for (const button of spans) {
  button.addEventListener("click", () => {
    const url = new URL(location.href);
    url.searchParams.set("span", button.dataset.span);
    history.replaceState(null, "", url);
    show(button.dataset.span);
  });
}
for (const interval of ["1m", "5m", "1h", "1d"]) {
  feed.subscribe("candles", { ...only, interval }, (message) => chart.update(message.interval, message.candles));
}

// -- the reader's own -------------------------------------------------------------------------------------------------

let mine = null;
if (series.party) {
  const lists = tabs(document.querySelector(".mine .tabs"), (tab) => {
    for (const name of ["orders", "fills", "grants"]) $(`list-${name}`).hidden = name !== tab.dataset.mine;
  });
  mine = new Mine(series, (orders) => {
    ladder.own(new Set(orders.map((order) => `${order.side === "buy" ? "bid" : "ask"}:${order.price}`)));
    put(lists.all[0], orders.length ? say("orders_count", { count: orders.length }) : say("orders"));
  });
  feed.subscribe("orders", {}, (message) => mine.takeOrders(message));
  feed.subscribe("fills", {}, (message) => mine.takeFills(message));
  feed.subscribe("balances", {}, () => ticket.changed());
  onKey("c", () => mine.cancelNewest());
  mine.readFills().catch(() => {});
  mine.readGrants().catch(() => {});
}

feed.start();
await show(series.span);
