// The last trades: fixed rows whose texts change, the latest on top.

import { make, mark, put } from "./dom.js";
import { clock, grouped, say } from "./text.js";

const ROWS = 40;

export class Tape {
  constructor(body, empty) {
    this.body = body;
    this.empty = empty;
    this.trades = [];
    this.rows = [];
  }

  /** Trades of the stream, oldest first or latest first as they come; known ones are passed over. */
  take(message) {
    const known = new Set(this.trades.map((trade) => trade.trade));
    const rows = message.trades.filter((trade) => !known.has(trade.trade));
    this.trades = [...rows, ...this.trades].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.position - a.position)).slice(0, ROWS);
    this.empty.hidden = this.trades.length > 0;
    while (this.rows.length < this.trades.length) {
      const cells = [make("td", { class: "num" }), make("td", { class: "num" }), make("td", { class: "num" })];
      const row = make("tr", {}, ...cells);
      this.rows.push({ row, cells });
      this.body.append(row);
    }
    this.trades.forEach((trade, at) => {
      const { row, cells } = this.rows[at];
      const buy = trade.taker_side === "buy";
      put(cells[0], clock(trade.at));
      put(cells[1], `${buy ? "▲" : "▼"} ${grouped(trade.price)}`);
      cells[1].className = `num ${buy ? "up" : "down"}`;
      put(cells[2], grouped(trade.quantity));
      row.title = say(trade.primary ? "tape.primary" : "tape.resale", { position: grouped(trade.position) });
    });
    if (message.type !== "snapshot" && this.rows.length) mark(this.rows[0].row);
  }
}
