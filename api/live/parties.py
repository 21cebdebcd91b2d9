"""The private side of the hub: orders, fills and balances of the parties that somebody listens for.

Rows of other parties are passed over in one comparison of arrays, so a quiet stream costs a busy house nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from api.live.channels import Channel, Key, Message
from api.live.messages import in_parts, snapshot_in_parts
from api.live.texts import Texts, Times
from api.wire import CURRENCY, ORDER, PARTY, SERIES, SIDES, TIMES_IN_FORCE, public_id, trade_id
from domain.catalogue import Currency
from domain.rejections import Reason
from domain.values import AccountKind, EndReason, format_money
from matching.layout import FLAG_MARKET, FLAG_PRIMARY, Kind, Side
from projections.flow import FlowFold, FlowRows

ORDER_STATUS: Final = ("", "open", "filled", "canceled", "partly_filled_and_canceled")
ORDERS_MAX: Final = 2_000
"""Open orders of a snapshot, the newest: so it always fits into what may wait for one socket."""
SHOWN_KINDS: Final = (AccountKind.AVAILABLE, AccountKind.IN_USE, AccountKind.RETIRED, AccountKind.RECEIVABLE)
"""Accounts of a party that it is told of."""
_KINDS: Final[dict[int, str]] = {
    Kind.NEW: "new",
    Kind.CANCEL: "cancel",
    Kind.REDUCE: "reduce",
    Kind.MASS_CANCEL: "cancel_all",
}

_LIFE: Final = [
    "order", "command", "at_ns", "last_command", "price_ticks", "lots", "filled_lots", "canceled_lots", "resting_lots",
    "hold_minor", "notional_minor", "fees_minor", "taxes_minor", "royalty_minor", "party", "series", "side", "tif",
    "flags", "status", "end_reason",
]  # fmt: skip
_REFUSED: Final = ["command", "at_ns", "price_ticks", "lots", "target", "party", "series", "kind", "side", "code"]
_FILL: Final = [
    "command", "fill", "at_ns", "price_ticks", "lots", "notional_minor", "maker_order", "taker_order", "taker_side",
    "buyer", "seller", "buyer_fee_minor", "seller_fee_minor", "tax_minor", "royalty_minor", "series", "primary",
]  # fmt: skip
_BALANCE: Final = ["account", "owner", "asset", "kind", "available", "held"]


class Parties:
    """The parties with an open private channel; used by the hub's thread alone."""

    def __init__(self, texts_of: Callable[[int], Texts], currencies: Mapping[int, Currency]) -> None:
        self._texts_of = texts_of
        self._currencies = currencies
        self._seqs: dict[Key, int] = {}
        self._parties: dict[Channel, Any] = {}
        """By channel the numbers of its parties, sorted."""
        self._waiting: dict[Key, list[Any] | dict[int, Any]] = {}
        """Rows since the last publication; of an order or an account the last, in the order of the last change."""
        self._times = Times()

    @property
    def is_watched(self) -> bool:
        """Whether a channel is open."""
        return bool(self._seqs)

    def open(self, key: Key, position: int) -> int:
        """From the next block on gather for a channel; the `prev_seq` of its next message."""
        seq = self._seqs.setdefault(key, position)
        self._sort()
        return seq

    def close(self, key: Key) -> None:
        self._seqs.pop(key, None)
        self._waiting.pop(key, None)
        self._sort()

    def _sort(self) -> None:
        by_channel: dict[Channel, list[int]] = {}
        for key in self._seqs:
            by_channel.setdefault(key.channel, []).append(key.number)
        self._parties = {channel: np.array(sorted(numbers)) for channel, numbers in by_channel.items()}

    def gather(self, position: int, rows: FlowRows) -> None:
        """Take in what one block has changed."""
        parties = self._parties
        if not parties:
            return
        if (listening := parties.get(Channel.ORDERS)) is not None:
            for life in _of(rows.orders, "party", listening)[_LIFE].tolist():
                self._latest(Key(Channel.ORDERS, life[14]), life[0], self.order(position, life))
            for refused in _of(rows.refusals, "party", listening)[_REFUSED].tolist():
                # Commands and orders are numbered apart.
                self._latest(Key(Channel.ORDERS, refused[5]), -refused[0], self._refusal(position, refused))
        if (listening := parties.get(Channel.FILLS)) is not None:
            self._gather_fills(position, rows.trades, listening)
        if (listening := parties.get(Channel.BALANCES)) is not None:
            for balance in _of(rows.balances, "owner", listening)[_BALANCE].tolist():
                if balance[3] in SHOWN_KINDS:
                    self._latest(Key(Channel.BALANCES, balance[1]), balance[0], self._balance(position, balance))

    def publish(self, position: int, at_ns: int) -> list[Message]:
        """The messages of what was gathered."""
        messages: list[Message] = []
        for key, waiting in self._waiting.items():
            rows = list(waiting.values()) if isinstance(waiting, dict) else waiting
            prev_seq, self._seqs[key] = self._seqs[key], position
            messages += in_parts(key, None, prev_seq, position, self._times.text(at_ns), key.channel.value, rows)
        self._waiting.clear()
        return messages

    def snapshot(self, key: Key, fold: FlowFold, at_ns: int) -> list[str]:
        """Where the party stands: its open orders, its balances; of fills nothing, they are not a state."""
        rows: list[Any] = []
        omitted = 0
        seq = self._seqs[key]
        if key.channel is Channel.ORDERS:
            lives = fold.open_orders()
            own = lives[lives["party"] == key.number]
            omitted = max(len(own) - ORDERS_MAX, 0)
            rows = [self.order(seq, life) for life in own[omitted:][_LIFE].tolist()]
        elif key.channel is Channel.BALANCES:
            accounts = fold.balances()
            mine = accounts[accounts["owner"] == key.number][_BALANCE].tolist()
            rows = [self._balance(seq, balance) for balance in mine if balance[3] in SHOWN_KINDS]
        return snapshot_in_parts(key, None, seq, self._times.text(at_ns), key.channel.value, rows, omitted)

    # -- bodies --------------------------------------------------------------------------------------------------------

    def order(self, position: int, life: Sequence[int]) -> dict[str, Any]:
        """The `_LIFE` fields of an order, under the names of `GET /v1/orders/{id}`."""
        (
            order, command, at_ns, last_command, ticks, lots, filled, canceled, resting, hold, notional, fees, taxes,
            royalty, party, series, side, tif, flags, status, end_reason,
        ) = life  # fmt: skip
        texts = self._texts_of(series)
        fact = texts.series
        buys = side == Side.BUY
        return {
            "id": public_id(ORDER, order),
            "party": public_id(PARTY, party),
            "series": fact.id,
            "symbol": fact.symbol,
            "side": SIDES[side],
            "type": "market" if flags & FLAG_MARKET else "limit",
            "price": texts.price(ticks),
            "quantity": texts.quantity(lots),
            "time_in_force": TIMES_IN_FORCE[tif],
            "primary": bool(flags & FLAG_PRIMARY),
            "status": ORDER_STATUS[status],
            "end_reason": EndReason(end_reason).name.lower() if end_reason else None,
            "filled_quantity": texts.quantity(filled),
            "remaining_quantity": texts.quantity(resting),
            "canceled_quantity": texts.quantity(canceled),
            "average_price": texts.money(notional // filled) if filled else None,
            "hold": {
                "amount": texts.money(hold) if buys else texts.quantity(hold),
                "asset": public_id(CURRENCY, fact.currency) if buys else fact.id,
            },
            "notional": texts.money(notional),
            "fees": texts.money(fees),
            "taxes": texts.money(taxes),
            "royalty": texts.money(royalty),
            "currency": public_id(CURRENCY, fact.currency),
            "accepted_at": self._times.text(at_ns) if command else None,
            "accepted_command": command or None,
            "last_command": last_command,
            "position": position,
        }

    def _refusal(self, position: int, refused: Sequence[int]) -> dict[str, Any]:
        command, at_ns, _, lots, target, _, series, kind, _, code = refused
        reason = Reason(code)
        body: dict[str, Any] = {
            "status": "refused",
            "kind": _KINDS.get(kind, "other"),
            "code": reason.code,
            "title": reason.meaning,
            "command": command,
            "at": self._times.text(at_ns),
            "position": position,
        }
        if series > 0 and reason is not Reason.UNKNOWN_SERIES:
            texts = self._texts_of(series)
            body["series"] = texts.series.id
            if lots > 0:
                body["quantity"] = texts.quantity(lots)
        if target > 0:
            body["order"] = public_id(ORDER, target)
        return body

    def _gather_fills(self, position: int, trades: Any, listening: Any) -> None:
        if not len(trades):
            return
        wanted = trades[np.isin(trades["buyer"], listening) | np.isin(trades["seller"], listening)]
        for trade in wanted[_FILL].tolist():
            for buys, party in ((True, trade[9]), (False, trade[10])):
                key = Key(Channel.FILLS, party)
                if key in self._seqs:
                    rows = self._waiting.setdefault(key, [])
                    assert isinstance(rows, list)
                    rows.append(self._fill(position, trade, buys=buys))

    def _fill(self, position: int, trade: Sequence[int], *, buys: bool) -> dict[str, Any]:
        """A trade as its buyer or its seller sees it, under the names of `GET /v1/fills`."""
        (
            command, fill, at_ns, ticks, lots, notional, maker, taker, taker_side, buyer, seller, buyer_fee, seller_fee,
            tax, royalty, series, primary,
        ) = trade  # fmt: skip
        takes = (taker_side == Side.BUY) == buys
        texts = self._texts_of(series)
        return {
            "trade": trade_id(command, fill),
            "order": public_id(ORDER, taker if takes else maker),
            "party": public_id(PARTY, buyer if buys else seller),
            "series": texts.series.id,
            "symbol": texts.series.symbol,
            "side": "buy" if buys else "sell",
            "role": "taker" if takes else "maker",
            "price": texts.price(ticks),
            "quantity": texts.quantity(lots),
            "notional": texts.money(notional),
            "fee": texts.money(buyer_fee if buys else seller_fee),
            "tax": texts.money(tax if buys else 0),
            "royalty": texts.money(0 if buys else royalty),
            "currency": public_id(CURRENCY, texts.series.currency),
            "primary": bool(primary),
            "at": self._times.text(at_ns),
            "position": position,
        }

    def _balance(self, position: int, balance: Sequence[int]) -> dict[str, Any]:
        _, _, asset, kind, available, held = balance
        if asset > 0:
            texts = self._texts_of(asset)
            amounts = (texts.quantity(available), texts.quantity(held))
            code, asset_id = texts.series.symbol, public_id(SERIES, asset)
        else:
            currency = self._currencies[-asset]
            amounts = (format_money(available, currency.exponent), format_money(held, currency.exponent))
            code, asset_id = currency.code, public_id(CURRENCY, -asset)
        return {
            "asset": asset_id,
            "code": code,
            "kind": AccountKind(kind).name.lower(),
            "available": amounts[0],
            "held": amounts[1],
            "position": position,
        }

    def _latest(self, key: Key, number: int, body: dict[str, Any]) -> None:
        rows = self._waiting.setdefault(key, {})
        assert isinstance(rows, dict)
        rows.pop(number, None)
        rows[number] = body


def _of(rows: Any, name: str, numbers: Any) -> Any:
    return rows[np.isin(rows[name], numbers)] if len(rows) else rows
