// One series' book as a client keeps it: levels by price from a snapshot and absolute changes, checked by checksum.

import { crc32 } from "./crc32.js";
import { scaled } from "./text.js";

const CHECKSUM_LEVELS = 10;

class Side {
  constructor(sign) {
    this.sign = sign;
    this.levels = new Map();
    this.sorted = null;
  }

  change(rows) {
    for (const [price, quantity, orders] of rows) {
      if (orders === 0) this.levels.delete(price);
      else this.levels.set(price, { price, quantity, orders, ticks: scaled(price) });
    }
    if (rows.length) this.sorted = null;
  }

  /** Levels from the best price outward. */
  best() {
    this.sorted ??= [...this.levels.values()].sort((a, b) => this.sign * Number(a.ticks - b.ticks));
    return this.sorted;
  }
}

export class Book {
  constructor() {
    this.clear();
  }

  clear() {
    this.bids = new Side(-1);
    this.asks = new Side(1);
  }

  /** Take in a message; false where the book is not the server's any more. */
  apply(message) {
    if (message.type === "snapshot") this.clear();
    this.bids.change(message.bids);
    this.asks.change(message.asks);
    return message.checksum === undefined || message.checksum === this.checksum();
  }

  checksum() {
    const half = (side) => side.best().slice(0, CHECKSUM_LEVELS).map((l) => `${l.price}:${l.quantity};`).join("");
    return crc32(`${half(this.bids)}|${half(this.asks)}`);
  }
}
