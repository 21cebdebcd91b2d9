// What is the reader's own in one series: open orders with one-click cancel, fills with their receipts, the grant.

import { ask } from "./api.js";
import { $, make, mark, put } from "./dom.js";
import { clock, grouped, moment, say, sayOr } from "./text.js";

const ENDED_SHOWN = 12;
const FILLS_SHOWN = 60;

export class Mine {
  constructor(series, onOrders) {
    this.series = series;
    this.onOrders = onOrders;
    this.rows = new Map();
    this.orders = new Map();
    this.fills = new Set();
    document.addEventListener("canceled", (event) => this.rows.get(event.detail)?.row.classList.add("quiet"));
  }

  /** Orders of the stream or of the API: open ones, and the last that ended. */
  takeOrders(message) {
    if (message.type === "snapshot") this.#forget(new Set(message.orders.map((order) => order.id)));
    for (const order of message.orders) {
      if (order.series !== this.series.id || !order.id) continue;
      this.orders.set(order.id, order);
      this.#order(order);
    }
    this.#trim();
    $("orders-empty").hidden = this.rows.size > 0;
    this.onOrders([...this.orders.values()].filter((order) => order.status === "open"));
  }

  /** The newest open order, which `c` cancels. */
  cancelNewest() {
    const focused = document.activeElement.closest("#orders tr")?.querySelector("[data-cancel]");
    (focused ?? $("orders").querySelector("[data-cancel]:not([disabled])"))?.click();
  }

  #forget(known) {
    for (const [id, order] of this.orders) {
      if (order.status === "open" && !known.has(id)) this.#drop(id);
    }
  }

  #drop(id) {
    this.orders.delete(id);
    this.rows.get(id)?.row.remove();
    this.rows.delete(id);
  }

  #trim() {
    const ended = [...this.orders.values()].filter((order) => order.status !== "open");
    ended.sort((a, b) => a.last_command - b.last_command);
    for (const order of ended.slice(0, Math.max(0, ended.length - ENDED_SHOWN))) this.#drop(order.id);
  }

  #order(order) {
    let row = this.rows.get(order.id);
    if (!row) {
      const cells = Array.from({ length: 8 }, (_, at) => make("td", { class: [1, 2, 3, 4, 7].includes(at) ? "num" : false }));
      row = { row: make("tr", { tabindex: "-1", "data-order": order.id }, ...cells), cells };
      this.rows.set(order.id, row);
      $("orders").prepend(row.row);
      mark(row.row);
    }
    const { cells } = row;
    const buy = order.side === "buy";
    put(cells[0], `${buy ? "▲" : "▼"} ${say(buy ? "buy" : "sell")}`);
    cells[0].className = buy ? "up" : "down";
    put(cells[1], grouped(order.price));
    put(cells[2], grouped(order.remaining_quantity), true);
    put(cells[3], `${grouped(order.filled_quantity)} / ${grouped(order.quantity)}`, true);
    put(cells[4], buy ? `${grouped(order.hold.amount)} ${this.series.currency}` : grouped(order.hold.amount));
    put(cells[5], order.accepted_at ? clock(order.accepted_at) : "–");
    const why = order.end_reason ? sayOr(`end.${order.end_reason}`, order.end_reason) : "";
    put(cells[6], why && order.status !== "filled" ? `${say(`status.${order.status}`)} · ${why}` : say(`status.${order.status}`));
    const open = order.status === "open";
    row.row.classList.toggle("quiet", !open);
    if (open && !cells[7].firstChild) {
      const name = say("cancel_order", { quantity: grouped(order.remaining_quantity), price: grouped(order.price) });
      cells[7].append(make("button", { class: "small", type: "button", "data-cancel": order.id, "aria-label": name }, say("cancel")));
    } else if (!open) {
      cells[7].replaceChildren();
    }
  }

  takeFills(message) {
    for (const fill of message.fills) {
      const key = `${fill.trade}:${fill.side}`;
      if (fill.series !== this.series.id || this.fills.has(key)) continue;
      this.fills.add(key);
      const buy = fill.side === "buy";
      const receipt = fill.position && this.series.may_audit
        ? make("a", { href: `/audit/${fill.position}` }, grouped(String(fill.position))) : fill.trade;
      $("fills").prepend(make("tr", { tabindex: "-1" },
        make("td", {}, make("time", { datetime: fill.at, title: fill.at }, moment(fill.at))),
        make("td", { class: buy ? "up" : "down" }, `${buy ? "▲" : "▼"} ${say(buy ? "buy" : "sell")}`),
        make("td", { class: "num" }, grouped(fill.price)), make("td", { class: "num" }, grouped(fill.quantity)),
        make("td", { class: "num" }, grouped(fill.fee)), make("td", {}, say(fill.role)), make("td", { class: "num" }, receipt)));
      if (message.type === "update") mark($("fills").firstElementChild);
    }
    while ($("fills").rows.length > FILLS_SHOWN) $("fills").lastElementChild.remove();
    $("fills-empty").hidden = $("fills").rows.length > 0;
  }

  /** Grants come from the read models, after the position of what has just happened. */
  async readGrants(after) {
    const query = new URLSearchParams({ series: this.series.id, ...(after ? { after } : {}) });
    const { data } = await ask("GET", `/v1/grants?${query}`);
    $("grants").replaceChildren(...data.map((grant) => make("tr", { tabindex: "-1" },
      make("td", { class: "num" }, grant.id), make("td", { class: "num" }, grouped(grant.quantity ?? grant.lots)),
      make("td", {}, grant.since || grant.at ? moment(grant.since ?? grant.at) : "–"), make("td", {}, this.series.term))));
    $("grants-empty").hidden = data.length > 0;
  }

  async readFills() {
    const { data } = await ask("GET", `/v1/fills?${new URLSearchParams({ series: this.series.id, limit: "50" })}`);
    this.takeFills({ type: "snapshot", fills: data.toReversed() });
  }
}
