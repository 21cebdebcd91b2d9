// The ticket: says what will happen before the button, and what happened after it. Every check here is also the API's.

import { Problem, ask, intention } from "./api.js";
import { $, make, put } from "./dom.js";
import { grouped, say, sayOr } from "./text.js";

const PREVIEW_MS = 150;
const DECIMAL = /^\d{1,15}(\.\d{1,9})?$/;

/** Whether a decimal text is a positive multiple of another. */
function isMultiple(text, size) {
  const places = Math.max(text.split(".")[1]?.length ?? 0, size.split(".")[1]?.length ?? 0);
  const whole = (value) => {
    const [head, tail = ""] = value.split(".");
    return BigInt(head + tail.padEnd(places, "0"));
  };
  return whole(text) > 0n && whole(text) % whole(size) === 0n;
}

export class Ticket {
  constructor(form, series, onPlaced) {
    this.form = form;
    this.series = series;
    this.onPlaced = onPlaced;
    this.timer = 0;
    this.sending = false;
    form.addEventListener("input", () => this.changed());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#place();
    });
    this.changed();
  }

  get side() {
    return this.form.elements.side.value;
  }

  /** Choose a side and begin to write, as `b` and `s` do. */
  open(side) {
    this.form.elements.side.value = side;
    this.changed();
    const field = this.form.elements.price.value ? "quantity" : "price";
    this.form.elements[field].focus();
    this.form.elements[field].select();
  }

  /** Take a price from the ladder: what is offered is bought, what is bid for is sold. */
  take(price, from) {
    this.form.elements.price.value = price;
    this.form.elements.side.value = from === "ask" ? "buy" : "sell";
    this.changed();
    this.form.elements.quantity.focus();
    this.form.elements.quantity.select();
  }

  changed() {
    const { type, time_in_force: tif, price, quantity } = this.form.elements;
    const market = type.value === "market";
    tif.disabled = market;
    put($("price-label"), say(market ? "ticket.worst" : "ticket.price", { currency: this.series.currency }));
    const go = $("go");
    if (go) {
      go.dataset.side = this.side;
      put(go, say(this.side === "buy" ? "ticket.buy" : "ticket.sell", { quantity: grouped(quantity.value || "0") }));
    }
    const wrong = {
      price: price.value ? this.#wrongPrice(price.value.trim()) : "",
      quantity: quantity.value ? this.#wrongQuantity(quantity.value.trim()) : "",
    };
    for (const [name, text] of Object.entries(wrong)) this.#error(name, text);
    clearTimeout(this.timer);
    this.preview?.abort();
    if (price.value && quantity.value && !wrong.price && !wrong.quantity && this.series.may_trade) {
      this.timer = setTimeout(() => this.#preview(), PREVIEW_MS);
    } else {
      this.#show(null);
    }
  }

  #wrongPrice(text) {
    if (!DECIMAL.test(text)) return say("ticket.not_a_number");
    return isMultiple(text, this.series.tick_size) ? "" : say("ticket.off_tick", { tick: this.series.tick_size });
  }

  #wrongQuantity(text) {
    if (!DECIMAL.test(text)) return say("ticket.not_a_number");
    if (!isMultiple(text, this.series.lot_size)) return say("ticket.off_lot", { lot: this.series.lot_size });
    return Number(text) > Number(this.series.quantity_max) ? say("ticket.too_much", { most: grouped(this.series.quantity_max) }) : "";
  }

  #error(name, text) {
    const field = this.form.elements[name];
    put($(`${name}-wrong`), text);
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }

  #order() {
    const { type, time_in_force: tif, price, quantity } = this.form.elements;
    const order = {
      series: this.series.id, side: this.side, type: type.value, price: price.value.trim(), quantity: quantity.value.trim(),
    };
    if (type.value === "limit") order.time_in_force = tif.value;
    return order;
  }

  async #preview() {
    this.preview = new AbortController();
    try {
      this.#show(await ask("POST", "/v1/orders/preview", { body: this.#order(), signal: this.preview.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#show(null);
      this.#refused(error);
    }
  }

  #show(preview) {
    const { currency } = this.series;
    const money = (text) => (preview ? `${grouped(text)} ${currency}` : "–");
    put($("b-cost"), preview ? say("ticket.now", { amount: money(preview.notional), quantity: grouped(preview.fillable_quantity) }) : "–");
    put($("b-fee"), money(preview?.fee));
    put($("b-tax"), money(preview?.tax));
    const buys = this.side === "buy";
    const unit = buys ? currency : say("ticket.lots_unit");
    put($("b-hold"), preview ? `${grouped(preview.hold.amount)} ${unit}` : "–");
    put($("b-left"), preview && preview.available !== null ? `${grouped(preview.available)} ${unit}` : "–");
    put($("b-ahead"), preview ? `${grouped(preview.ahead_quantity)} ${say("ticket.lots_unit")}` : "–");
    if (preview?.would_be_refused) this.#said("wrong", sayOr(`code.${preview.would_be_refused}`, preview.would_be_refused));
    else if (preview) this.#said("", "");
  }

  async #place() {
    const { price, quantity } = this.form.elements;
    for (const field of [price, quantity]) {
      if (field.value) continue;
      this.#error(field.name, say("ticket.missing"));
      field.focus();
      return;
    }
    const invalid = this.form.querySelector('[aria-invalid="true"]');
    if (invalid || this.sending) {
      invalid?.focus();
      return;
    }
    this.sending = true;
    $("go").disabled = true;
    try {
      const order = await ask("POST", "/v1/orders", { body: this.#order(), key: intention() });
      this.#placed(order);
      this.onPlaced(order);
    } catch (error) {
      this.#refused(error);
    } finally {
      this.sending = false;
      $("go").disabled = false;
    }
  }

  #placed(order) {
    const word = say(`placed.${order.status}`, { remaining: grouped(order.remaining_quantity), fills: order.fills });
    const where = say("placed.position", { position: grouped(String(order.position)) });
    const receipt = this.series.may_audit ? make("a", { href: `/audit/${order.position}` }, where) : where;
    $("after").className = "after notice good";
    $("after").replaceChildren(`✓ ${word} · `, receipt);
  }

  #refused(error) {
    if (!(error instanceof Problem)) throw error;
    const text = sayOr(`code.${error.code}`, error.message);
    let shown = false;
    for (const { pointer, detail, code } of error.errors) {
      const name = pointer.slice(1);
      if (!this.form.elements[name] || !$(`${name}-wrong`)) continue;
      this.#error(name, sayOr(`code.${code}`, detail || text));
      shown = true;
    }
    if (!shown) this.#said("wrong", `✕ ${text}`);
  }

  #said(kind, text) {
    const box = $("after");
    box.className = kind ? `after notice ${kind}` : "after";
    box.textContent = text;
  }
}
