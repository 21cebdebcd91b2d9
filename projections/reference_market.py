"""The tables of `projections.market`, trade after trade."""

from __future__ import annotations

from projections.flow import FlowRows
from projections.market import candles, levels, prices, trades
from projections.reference_rows import ReferenceRows

LENGTHS = (60, 300, 3_600, 86_400)


class ReferenceMarket:
    def __init__(self, rows: ReferenceRows) -> None:
        self._rows = rows

    def block(self, position: int, rows: FlowRows) -> None:
        for trade in rows.trades.tolist():
            self._trade(position, dict(zip(rows.trades.dtype.names, trade, strict=True)))
        for level in rows.levels:
            key = level["series"], level["side"], level["price_ticks"]
            if level["orders"]:
                names = ("series", "side", "price_ticks", "lots", "orders")
                self._rows.put(levels, {name: level[name] for name in names})
            else:
                self._rows.delete(levels, *map(int, key))

    def _trade(self, position: int, trade: dict[str, int]) -> None:
        names = ("command", "fill", "at_ns", "series", "price_ticks", "lots", "notional_minor", "taker_side")
        row = {name: trade[name] for name in names} | {"is_primary": trade["primary"], "position": position}
        self._rows.put(trades, row)
        for seconds in LENGTHS:
            self._candle(seconds, trade)
        series, price = trade["series"], trade["price_ticks"]
        sums = {"lots": trade["lots"], "notional_minor": trade["notional_minor"], "trades": 1}
        known = self._rows.get(prices, series)
        if known is not None:
            sums = {name: known[name] + amount for name, amount in sums.items()}
        last = {"last_ticks": price, "last_at_ns": trade["at_ns"], "last_command": trade["command"]}
        self._rows.put(prices, {"series": series} | last | sums)

    def _candle(self, seconds: int, trade: dict[str, int]) -> None:
        start_ns = trade["at_ns"] // (seconds * 10**9) * (seconds * 10**9)
        price = trade["price_ticks"]
        candle = self._rows.get(candles, trade["series"], seconds, start_ns)
        if candle is None:
            candle = {"open_ticks": price, "high_ticks": price, "low_ticks": price}
            candle |= {"lots": 0, "notional_minor": 0, "trades": 0}
        self._rows.put(
            candles,
            {
                "series": trade["series"],
                "seconds": seconds,
                "start_ns": start_ns,
                "open_ticks": candle["open_ticks"],
                "high_ticks": max(candle["high_ticks"], price),
                "low_ticks": min(candle["low_ticks"], price),
                "close_ticks": price,
                "lots": candle["lots"] + trade["lots"],
                "notional_minor": candle["notional_minor"] + trade["notional_minor"],
                "trades": candle["trades"] + 1,
                "last_command": trade["command"],
            },
        )
