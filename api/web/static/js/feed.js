// The live stream: one socket, subscriptions that survive a reconnect, and an honest word about its age.

import { say } from "./text.js";

const STALE_MS = 3_500;
const PING_BEATS = 3;
const SIGNED_OUT = 4001;
const RETRY_MS = [250, 500, 1_000, 2_000, 5_000];

export class Feed {
  /** `onAge` gets "live", "stale" or "off" with the position, and how many milliseconds away the server is. */
  constructor(onAge) {
    this.onAge = onAge;
    this.wanted = [];
    this.attempts = 0;
    this.position = 0;
    this.lag = null;
    this.heard = 0;
    this.beats = 0;
    setInterval(() => this.#tell(), 500);
  }

  /** Messages of a channel go to `take(message)`, which returns false where they do not fit together any more. */
  subscribe(channel, params, take) {
    const subscription = { channel, params, take, seq: 0 };
    this.wanted.push(subscription);
    if (this.socket?.readyState === WebSocket.OPEN) this.#ask(subscription);
    return subscription;
  }

  start() {
    const { protocol, host } = location;
    this.socket = new WebSocket(`${protocol === "https:" ? "wss" : "ws"}://${host}/v1/ws`);
    this.socket.addEventListener("open", () => {
      this.attempts = 0;
      this.heard = performance.now();
      for (const subscription of this.wanted) this.#ask(subscription);
    });
    this.socket.addEventListener("message", (event) => this.#take(JSON.parse(event.data)));
    this.socket.addEventListener("close", ({ code }) => {
      // The session has ended: the page is not this reader's any more.
      if (code === SIGNED_OUT) {
        location.reload();
        return;
      }
      this.#tell();
      setTimeout(() => this.start(), RETRY_MS[Math.min(this.attempts, RETRY_MS.length - 1)]);
      this.attempts += 1;
    });
  }

  #ask(subscription) {
    const { channel, params, seq } = subscription;
    const request = seq ? { op: "resume", from_seq: seq } : { op: "subscribe" };
    this.socket.send(JSON.stringify({ ...request, channel, ...params }));
  }

  #again(subscription) {
    subscription.seq = 0;
    const { channel, params } = subscription;
    this.socket.send(JSON.stringify({ op: "unsubscribe", channel, ...params }));
    this.#ask(subscription);
  }

  #take(message) {
    this.heard = performance.now();
    if (message.channel === "heartbeat") {
      this.position = Math.max(this.position, message.position);
      if (this.beats % PING_BEATS === 0) {
        this.asked = performance.now();
        this.socket.send(JSON.stringify({ op: "ping" }));
      }
      this.beats += 1;
      this.#tell();
      return;
    }
    if (message.op === "ping") this.lag = Math.round(performance.now() - this.asked);
    const subscription = this.wanted.find((one) => one.channel === message.channel && this.#fits(one.params, message));
    if (!subscription || !message.type) return;
    const missed = message.type === "update" && message.prev_seq !== subscription.seq && !message.more;
    if (message.seq) subscription.seq = message.seq;
    this.position = Math.max(this.position, message.seq ?? 0);
    if (missed || subscription.take(message) === false) this.#again(subscription);
    this.#tell();
  }

  #fits(params, message) {
    return (!params.series || params.series.includes(message.series)) && (!params.interval || params.interval === message.interval);
  }

  #tell() {
    const open = this.socket?.readyState === WebSocket.OPEN;
    const age = open ? (performance.now() - this.heard > STALE_MS ? "stale" : "live") : "off";
    this.onAge(age, this.position, this.lag);
  }
}

/** Show the age of a feed: a dot, and words that say the same. */
export function showAge(element, age, text) {
  element.dataset.age = age;
  const said = age === "live" ? text : say(age === "stale" ? "stale" : "disconnected", { position: text });
  if (element.textContent !== said) element.textContent = said;
}
