// The depth ladder: as many fixed rungs as fit, best prices in the middle; only texts and bars change.

import { make, put } from "./dom.js";
import { grouped, say, scaled } from "./text.js";

const RUNG_PX = 20;

export class Ladder {
  constructor({ asks, bids, mid, note }, onPrice) {
    this.sides = [{ box: asks, name: "ask", up: true, rungs: [] }, { box: bids, name: "bid", up: false, rungs: [] }];
    this.mid = mid;
    this.note = note;
    this.mine = new Map();
    for (const side of this.sides) {
      side.box.addEventListener("click", (event) => {
        const rung = event.target.closest(".rung");
        if (rung?.dataset.price) onPrice(rung.dataset.price, side.name);
      });
      side.box.addEventListener("keydown", (event) => this.#move(event));
      new ResizeObserver(() => this.#fit(side)).observe(side.box);
      this.#fit(side);
    }
  }

  #fit(side) {
    const wanted = Math.max(3, Math.min(24, Math.floor(side.box.clientHeight / RUNG_PX)));
    if (side.rungs.length === wanted) return;
    side.rungs = Array.from({ length: wanted }, () => {
      const cells = [make("span"), make("span"), make("span")];
      return { row: make("button", { type: "button", class: "rung", tabindex: "-1", "data-empty": "true" }, ...cells), cells };
    });
    const rows = side.rungs.map((rung) => rung.row);
    side.box.replaceChildren(...(side.up ? rows.toReversed() : rows));
    rows[0].tabIndex = 0;
    if (this.book) this.show(this.book);
  }

  #move(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = this.sides.flatMap((side) => [...side.box.children]).filter((row) => row.dataset.empty !== "true");
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (!next) return;
    for (const row of rows) row.tabIndex = row === next ? 0 : -1;
    next.focus();
  }

  /** Prices at which the reader has orders of their own. */
  own(prices) {
    this.mine = prices;
    if (this.book) this.show(this.book);
  }

  show(book) {
    this.book = book;
    const shown = this.sides.map((side) => (side.up ? book.asks : book.bids).best().slice(0, side.rungs.length));
    const most = shown.map((levels) => Math.max(1, ...levels.map((level) => Number(level.quantity))));
    this.sides.forEach((side, at) => {
      side.rungs.forEach(({ row, cells }, place) => {
        const level = shown[at][place];
        row.dataset.empty = String(!level);
        if (!level) {
          row.dataset.price = "";
          return;
        }
        const moved = row.dataset.price !== level.price;
        row.dataset.price = level.price;
        row.dataset.mine = String(this.mine.has(`${side.name}:${level.price}`));
        put(cells[0], grouped(level.price));
        put(cells[1], grouped(level.quantity), !moved);
        put(cells[2], String(level.orders));
        row.title = say("ladder.take", { price: grouped(level.price) });
        row.style.setProperty("--part", (Number(level.quantity) / most[at]).toFixed(4));
      });
    });
    this.#middle(book);
  }

  #middle(book) {
    const bid = book.bids.best()[0];
    const ask = book.asks.best()[0];
    if (bid && ask) {
      const decimals = bid.price.split(".")[1]?.length ?? 0;
      const spread = (scaled(ask.price) - scaled(bid.price)).toString().padStart(decimals + 1, "0");
      const text = decimals ? `${spread.slice(0, -decimals)}.${spread.slice(-decimals)}` : spread;
      put(this.note, say("ladder.spread", { spread: grouped(text) }));
    } else {
      put(this.note, bid || ask ? say(bid ? "ladder.no_asks" : "ladder.no_bids") : say("ladder.empty"));
    }
  }

  /** The last price, in the middle. */
  last(price, way) {
    put(this.mid, `${grouped(price)}${way === "up" ? " ▲" : way === "down" ? " ▼" : ""}`);
    this.mid.className = `price ${way}`;
  }
}
