// Candles, volume and the published price with its changes. The library draws on a canvas; colors come from the tokens.

import { ask } from "./api.js";
import { grouped, moment } from "./text.js";

const SHOWN = 110;
const SECONDS = { "1m": 60, "5m": 300, "1h": 3600, "1d": 86400 };

/** A color of the tokens as the canvas wants it. */
function color(name) {
  const probe = document.createElement("i");
  probe.hidden = true;
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const seconds = (time) => Math.floor(Date.parse(time) / 1000);

export class Chart {
  constructor(box, legend, series) {
    const library = window.LightweightCharts;
    this.library = library;
    this.legend = legend;
    this.series = series;
    this.marks = [];
    this.chart = library.createChart(box, {
      autoSize: true,
      layout: { attributionLogo: false, background: { color: "transparent" }, fontSize: 12 },
      timeScale: { timeVisible: true, secondsVisible: false, borderVisible: false, rightOffset: 4 },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.24 } },
      handleScale: { axisPressedMouseMove: true },
      localization: { locale: document.documentElement.lang === "zh-Hans" ? "zh-CN" : "en-GB" },
    });
    const decimals = series.decimals;
    const priceFormat = { type: "price", precision: decimals, minMove: Number(series.tick_size) };
    this.candles = this.chart.addSeries(library.CandlestickSeries, { priceFormat, priceLineVisible: false });
    this.volume = this.chart.addSeries(library.HistogramSeries, {
      priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 }, visible: false });
    this.published = this.chart.addSeries(library.LineSeries, {
      priceFormat, lineType: library.LineType.WithSteps, lineStyle: library.LineStyle.Dashed, lineWidth: 1,
      lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false, autoscaleInfoProvider: () => null,
    });
    this.marker = library.createSeriesMarkers(this.published, []);
    this.rows = new Map();
    this.chart.subscribeCrosshairMove((at) => this.#read(at));
    this.paint();
  }

  /** Take the colors of the tokens; again after light or dark was chosen. */
  paint() {
    const buy = color("buy-fill");
    const sell = color("sell-fill");
    this.chart.applyOptions({
      layout: { textColor: color("gray-7"), fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { vertLines: { visible: false }, horzLines: { color: color("gray-2") } },
      crosshair: { vertLine: { color: color("gray-5") }, horzLine: { color: color("gray-5") } },
    });
    this.candles.applyOptions({ upColor: buy, borderUpColor: buy, wickUpColor: buy, downColor: sell, borderDownColor: sell, wickDownColor: sell });
    this.published.applyOptions({ color: color("accent") });
    this.colors = { up: color("buy-soft"), down: color("sell-soft"), accent: color("accent") };
    this.#draw();
  }

  /** Show another interval; what was asked for before and comes late is passed over. */
  async span(interval) {
    this.interval = interval;
    const { candles } = await ask("GET", `/v1/series/${this.series.id}/candles?interval=${interval}&limit=1000`);
    if (this.interval !== interval) return;
    this.rows = new Map(candles.toReversed().map((row) => [seconds(row.start), row]));
    this.#draw();
    if (this.rows.size > SHOWN) this.chart.timeScale().setVisibleLogicalRange({ from: this.rows.size - SHOWN, to: this.rows.size + 3 });
    else this.chart.timeScale().fitContent();
  }

  /** Candles of the stream. */
  update(interval, rows) {
    if (interval !== this.interval) return;
    for (const row of rows) {
      const time = seconds(row.start);
      const last = [...this.rows.keys()].at(-1) ?? 0;
      this.rows.set(time, row);
      if (time >= last) {
        this.candles.update(this.#candle(time, row));
        this.volume.update(this.#bar(time, row));
      } else {
        this.rows = new Map([...this.rows].sort(([a], [b]) => a - b));
        this.#draw();
      }
    }
    this.#line();
  }

  #candle(time, row) {
    return { time, open: Number(row.open), high: Number(row.high), low: Number(row.low), close: Number(row.close) };
  }

  #bar(time, row) {
    return { time, value: Number(row.quantity), color: Number(row.close) >= Number(row.open) ? this.colors.up : this.colors.down };
  }

  #draw() {
    const rows = [...this.rows].sort(([a], [b]) => a - b);
    this.candles.setData(rows.map(([time, row]) => this.#candle(time, row)));
    this.volume.setData(rows.map(([time, row]) => this.#bar(time, row)));
    this.#line();
  }

  /** The published price over the time of the candles, with a mark where it changed. */
  #line() {
    const times = [...this.rows.keys()];
    if (!times.length || !this.series.published.length) return;
    const step = SECONDS[this.interval];
    const [first, last] = [times[0], times.at(-1)];
    const points = new Map();
    const marks = [];
    let before = null;
    for (const change of this.series.published) {
      const time = Math.floor(seconds(`${change.day}T00:00:00Z`) / step) * step;
      if (time > last) break;
      const at = Math.max(time, first);
      points.set(at, Number(change.price));
      if (before !== null && time >= first) {
        const up = Number(change.price) > before;
        marks.push({
          time: at, position: up ? "belowBar" : "aboveBar", shape: up ? "arrowUp" : "arrowDown", color: this.colors.accent,
          text: grouped(change.price),
        });
      }
      before = Number(change.price);
    }
    if (before !== null) points.set(last, before);
    this.published.setData([...points].sort(([a], [b]) => a - b).map(([time, value]) => ({ time, value })));
    this.marker.setMarkers(marks);
  }

  #read(at) {
    const row = at.time ? this.rows.get(at.time) : null;
    this.legend.textContent = row
      ? `${moment(row.start)}  O ${grouped(row.open)}  H ${grouped(row.high)}  L ${grouped(row.low)}  C ${grouped(row.close)}  V ${grouped(row.quantity)}`
      : "";
  }
}
