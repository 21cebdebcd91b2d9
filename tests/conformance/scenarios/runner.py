"""Runs one scenario of the shared form through an engine and says where the outcome differs.

A scenario names orders and owners by words, an engine by numbers; a scenario's reasons are words, an engine's codes are
numbers. This file holds the two tables and the comparison, and knows no rule of the market.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matching.layout import Side
from matching.reference_auction import Certificate
from matching.reference_rows import Command, Place, Rows, Terms
from matching.reference_settings import Settings
from matching.rulebook_layout import (
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_SIDE,
    HIGHEST,
    KEEP,
    LOWEST,
    AuctionSteps,
    BandBreach,
    Code,
    Ending,
    Kind,
    MarketRemainder,
    Peg,
    Phase,
    SelfTrade,
    TimeInForce,
)
from tests.conformance.engine import Engine

SERIES = 1
Json = dict[str, Any]

SETTABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "self_trade": (
        "self_trade",
        {
            "allow": SelfTrade.ALLOW,
            "cancel_newest": SelfTrade.CANCEL_NEWEST,
            "cancel_oldest": SelfTrade.CANCEL_OLDEST,
            "cancel_both": SelfTrade.CANCEL_BOTH,
            "decrement": SelfTrade.DECREMENT,
        },
    ),
    "self_trade_in_auction": ("self_trade_in_auction", {"prevent": False, "allow": True}),
    "iceberg_first_peak": ("iceberg_first_peak_full", {"full_peak": True, "rest_of_peak": False}),
    "iceberg_reserve_increase": ("iceberg_growth_keeps_place", {"lose_place": False, "keep_place": True}),
    "replace_to_filled": ("replace_to_filled_cancels", {"cancel": True, "reject": False}),
    "market_remainder": (
        "market_remainder",
        {
            "cancel": MarketRemainder.CANCEL,
            "rest_at_protection": MarketRemainder.REST_AT_PROTECTION,
            "rest_at_last_fill": MarketRemainder.REST_AT_LAST_FILL,
        },
    ),
    "stop_already_through": ("stop_already_through_runs", {"trigger": True, "reject": False}),
    "peg_no_reference": ("peg_without_reference_parks", {"park": True, "cancel": False}),
    "peg_mid_rounding": ("peg_mid_rounds_toward_market", {"buy_up_sell_down": True, "buy_down_sell_up": False}),
    "band_breach": (
        "band_breach",
        {
            "reject": BandBreach.REJECT,
            "cancel_remainder": BandBreach.CANCEL_REMAINDER,
            "volatility_auction": BandBreach.VOLATILITY_AUCTION,
            "partial_then_auction": BandBreach.PARTIAL_THEN_AUCTION,
        },
    ),
    "auction_steps": (
        "auction_steps",
        {
            '["volume", "surplus", "pressure", "reference"]': AuctionSteps.SURPLUS_PRESSURE_REFERENCE,
            '["volume", "surplus", "reference"]': AuctionSteps.SURPLUS_REFERENCE,
            '["volume", "reference"]': AuctionSteps.REFERENCE,
            '["volume", "mid"]': AuctionSteps.MIDDLE,
        },
    ),
    "auction_candidates": ("auction_every_tick", {"every_tick": True, "limit_prices": False}),
    "auction_tie": ("auction_tie_higher", {"higher": True, "lower": False}),
    "auction_market_orders": ("auction_market_orders", {"accept": True, "reject": False}),
    "auction_market_remainder": ("auction_market_rests", {"cancel": False, "rest_at_auction_price": True}),
    "post_only_in_auction": ("post_only_in_auction", {"accept": True, "reject": False}),
}
"""Rules that a series sets: the field of its settings, and the field's value for each value of the rule that it has."""
FIXED = {
    "iceberg_refresh": "to_back",
    "iceberg_hidden_match": "by_peak",
    "stop_trigger_order": "entry_time",
    "stop_activation": "after_command",
    "oco_cancel_when": "any_execution",
    "auction_reference_pick": "nearest",
    "auction_iceberg": "displayed_first",
    "expiry_boundary": "at",
}
"""Rules that the rulebook settles for every series."""

TIF = {tif.name.lower(): tif for tif in TimeInForce}
PEG = {"bid": Peg.BID, "ask": Peg.ASK, "mid": Peg.MID}
SIDE = {"buy": Side.BUY, "sell": Side.SELL}
PHASE = {
    "pre_open": Phase.PRE_OPEN,
    "opening_auction": Phase.OPENING_AUCTION,
    "continuous": Phase.CONTINUOUS,
    "volatility_auction": Phase.VOLATILITY_AUCTION,
    "closing_auction": Phase.CLOSING_AUCTION,
    "halted": Phase.HALTED,
    "closed": Phase.CLOSED,
}
PHASE_NAME = {phase: name for name, phase in PHASE.items()}
REFUSED = {
    Code.ALREADY_EXPIRED: "already_expired",
    Code.BAD_DISPLAY: "bad_display",
    Code.LOTS_OUT_OF_RANGE: "bad_lots",
    Code.BAD_MINIMUM: "bad_min_lots",
    Code.BAD_PEG: "bad_peg",
    Code.BELOW_FILLED: "below_filled",
    Code.CLIENT_ORDER_ID_TAKEN: "duplicate_id",
    Code.KILLED: "killed",
    Code.ORDER_NOT_OPEN: "not_open",
    Code.PHASE_NOT_ALLOWED: "phase",
    Code.SERIES_HALTED: "phase",
    Code.POST_ONLY_WOULD_TRADE: "post_only_would_trade",
    Code.PRICE_OUTSIDE_BAND: "price_outside_band",
    Code.TRADE_OUTSIDE_BAND: "price_outside_band",
    Code.STOP_ALREADY_THROUGH: "stop_already_through",
    Code.UNKNOWN_ORDER: "unknown_order",
    Code.NOT_YOUR_ORDER: "unknown_order",
}
CANCELED = {
    Ending.USER: "user",
    Ending.MASS: "mass",
    Ending.KILLED: "killed",
    Ending.DEADMAN: "deadman",
    Ending.EXPIRED: "expired",
    Ending.IOC: "ioc",
    Ending.FOK: "fok",
    Ending.MINIMUM: "min_lots",
    Ending.NO_LIQUIDITY: "no_liquidity",
    Ending.SELF_TRADE: "self_trade",
    Ending.OCO: "oco",
    Ending.PRICE_RANGE: "price_range",
    Ending.AUCTION_OVER: "auction_over",
    Ending.PEG_NO_REFERENCE: "peg_no_reference",
    Ending.REPLACED_TO_ZERO: "replaced_to_zero",
}
"""Endings of whole orders. An order that only lost lots is not canceled."""
LOST_LOTS = (Ending.REDUCED, Ending.REPLACED, Ending.DECREMENTED)


def scenarios_in(folder: Path) -> Iterator[Json]:
    """Every scenario of a folder's files, by file name and place."""
    for file in sorted(folder.glob("*.json")):
        document = json.loads(file.read_bytes())
        if isinstance(document.get("scenarios"), list):
            yield from document["scenarios"]


def settings_for(scenario: Json) -> Settings | str:
    """Settings under which the scenario must come out, or the first rule with a value that there is not."""
    chosen: Json = {}
    for rule, value in scenario["rules"].items():
        values = [value, *scenario.get("also", {}).get(rule, [])]
        if rule in FIXED:
            if FIXED[rule] not in values:
                return str(rule)
        elif rule == "auction_pressure_cap_bps":
            chosen[rule] = value or 0
        elif rule in SETTABLE:
            name, known = SETTABLE[rule]
            texts = [item if isinstance(item, str) else json.dumps(item) for item in values]
            possible = [known[text] for text in texts if text in known]
            if not possible:
                return str(rule)
            chosen[name] = possible[0]
        else:
            return str(rule)
    instrument = scenario["instrument"]
    for band, low, high in (("band", "price_low", "price_high"), ("execution_band", "trade_low", "trade_high")):
        if band in instrument:
            chosen[low], chosen[high] = instrument[band]
    return Settings(**chosen)


def faults(scenario: Json, engine: Engine, settings: Settings) -> list[str]:
    """What comes out otherwise than the scenario says; empty if it passes."""
    telling = _Telling(engine)
    telling.start(scenario["instrument"], settings)
    found: list[str] = []
    for number, (step, expected) in enumerate(zip(scenario["steps"], scenario["expect"], strict=True)):
        actual = telling.tell(step)
        found += [f"step {number} ({step['op']}): {fault}" for fault in _differences(actual, expected)]
    found += [f"final book: {fault}" for fault in _differences(telling.book(), scenario["final_book"])]
    return found


@dataclass(slots=True)
class _Telling:
    """A scenario while it is told to an engine."""

    engine: Engine
    now: int = 0
    commands: int = 0
    orders: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)

    def start(self, instrument: Json, settings: Settings) -> None:
        self.now = instrument.get("now", 0)
        self.engine.add_series(
            SERIES,
            settings,
            phase=PHASE[instrument.get("phase", "continuous")],
            last_trade=instrument.get("last_trade", 0),
            reference=instrument.get("reference", 0),
        )

    def tell(self, step: Json) -> Json:
        """Run a step; returns what happened in the words of an expectation."""
        op = step["op"]
        if op == "indicative":
            return self._indicative(step)
        if op == "time":
            self.now = step["now"]
            rows = Rows()
            for command in self.engine.due(self.now, self._next()):
                self.commands = command.command
                rows.join(self.engine.run(command))
            return self._event(rows, "")
        if op == "submit" and step["id"] in self.orders:
            # Names of orders are the door's: it refuses one that is taken before the engine hears of it.
            return {"result": "refused", "reason": REFUSED[Code.CLIENT_ORDER_ID_TAKEN]}
        rows = self.engine.run(_COMMANDS[op](self, step))
        if op == "submit" and rows.code == Code.OK:
            self.orders[step["id"]] = rows.results[0].order
        event = self._event(rows, step.get("id", "") if op == "submit" else "")
        if op in ("submit", "replace") and event["result"] == "accepted":
            event.update(self._places(step["id"]))
        return event

    def book(self) -> Json:
        """The book in the words of `final_book`."""
        names = {number: name for name, number in self.orders.items()}
        found: Json = {"bids": [], "asks": [], "hidden": {}, "pending": [], "parked": []}
        for order in self.engine.standing(SERIES):
            name = names[order.order]
            if order.place == Place.PENDING:
                found["pending"].append(name)
                continue
            if order.place == Place.PARKED:
                found["parked"].append(name)
                continue
            levels = found["bids" if order.side == Side.BUY else "asks"]
            price = None if order.price in (HIGHEST, LOWEST) else order.price
            if not levels or levels[-1][0] != price:
                levels.append([price, 0, []])
            levels[-1][1] += order.shown
            levels[-1][2].append(name)
            if order.lots > order.shown:
                found["hidden"][name] = order.lots - order.shown
        return found

    def account(self, owner: str) -> int:
        """The account of an owner; 0 for none."""
        if owner and owner not in self.accounts:
            self.accounts[owner] = len(self.accounts) + 1
            self.engine.add_account(self.accounts[owner])
        return self.accounts.get(owner, 0)

    def order(self, name: str) -> int:
        """The number of an order; one that no engine has given where there is none."""
        return self.orders.get(name, 1 << 40)

    def command(self, kind: Kind, **columns: Any) -> Command:
        return Command(self._next(), kind, self.now, **columns)

    def _next(self) -> int:
        self.commands += 1
        return self.commands

    def _indicative(self, step: Json) -> Json:
        certificate = self.engine.indicative(SERIES, reference=step.get("reference", 0))
        return {"result": "accepted", "indicative": _price_and_surplus(certificate)}

    def _places(self, name: str) -> Json:
        found = {"resting": 0, "pending": 0, "parked": 0}
        names = {Place.RESTING: "resting", Place.PENDING: "pending", Place.PARKED: "parked"}
        for order in self.engine.standing(SERIES):
            if order.order == self.orders[name]:
                found[names[order.place]] = order.lots
        return found

    def _event(self, rows: Rows, entering: str) -> Json:
        if rows.results and rows.code != Code.OK:
            return {"result": "refused", "reason": REFUSED.get(rows.code, rows.code.name.lower())}
        names = {number: name for name, number in self.orders.items()}
        event: Json = {"result": "accepted"}
        fills = [(names[row.maker], names[row.taker], row.price, row.lots) for row in rows.fills]
        if rows.uncrosses:
            (row,) = rows.uncrosses
            certificate = Certificate(*row[2:9])
            event["uncross"] = _price_and_surplus(certificate) | _paired(fills, row.executed)
            fills = fills[event["uncross"].pop("count") :]
        event["fills"] = _merged(fills)
        event["canceled"] = [
            {"id": names[row.order], "lots": row.lots, "reason": CANCELED.get(Ending(row.reason), str(row.reason))}
            for row in rows.endings
            if row.reason not in LOST_LOTS
        ]
        event["prevented"] = [
            {"maker": names[row.maker], "taker": names[row.taker], "price": row.price}
            | ({"lots": row.lots} if row.lots else {})
            for row in rows.prevented
        ]
        event["triggered"] = [names[row.order] for row in rows.triggers]
        event["repriced"] = [
            {"id": names[row.order], "price": row.price or None}
            for row in rows.repricings
            if names[row.order] != entering
        ]
        if rows.phases:
            event["phase"] = PHASE_NAME[Phase(rows.phases[-1].after)]
        return event


def _price_and_surplus(certificate: Certificate) -> Json:
    found: Json = {"price": certificate.price or None, "lots": certificate.lots}
    if certificate.lots:
        side = "none" if certificate.surplus == 0 else "buy" if certificate.surplus > 0 else "sell"
        found["surplus"] = {"side": side, "lots": abs(certificate.surplus)}
    return found


def _paired(fills: list[tuple[str, str, int, int]], executed: int) -> Json:
    """The fills that belong to the uncrossing, and how many they are."""
    pairs: list[list[Any]] = []
    lots_of: dict[str, int] = {}
    for buy, sell, _, lots in fills:
        if executed == 0:
            break
        executed -= lots
        pairs.append([buy, sell, lots])
        for name in (buy, sell):
            lots_of[name] = lots_of.get(name, 0) + lots
    return {"pairs": pairs, "executed": lots_of, "count": len(pairs)}


def _merged(fills: list[tuple[str, str, int, int]]) -> list[Json]:
    """Neighbors with the same maker, taker and price added up."""
    found: list[Json] = []
    for maker, taker, price, lots in fills:
        key = {"maker": maker, "taker": taker, "price": price}
        if found and {**found[-1], "lots": 0} == {**key, "lots": 0}:
            found[-1]["lots"] += lots
        else:
            found.append({**key, "lots": lots})
    return found


EMPTY: Json = {
    "fills": [], "canceled": [], "prevented": [], "triggered": [], "repriced": [], "hidden": {}, "pending": [],
    "parked": [], "bids": [], "asks": [], "phase": None, "reason": None, "surplus": None,
}  # fmt: skip
UNORDERED = ("canceled", "pending", "parked")
OPTIONAL = ("resting", "pending", "parked")
"""Lots of a step's order, which an expectation gives where they matter."""


def _differences(actual: Json, expected: Json) -> list[str]:
    found: list[str] = []
    for name in sorted({*actual, *expected}):
        is_lots = name in OPTIONAL and isinstance(actual.get(name), int)
        if is_lots and name not in expected:
            continue
        got, wanted = actual.get(name, EMPTY.get(name)), expected.get(name, EMPTY.get(name))
        if name in UNORDERED and not is_lots:
            got, wanted = (sorted(items, key=str) for items in (got or [], wanted or []))
        if name == "uncross" and got and wanted:
            wanted = dict(wanted)
            published = wanted.pop("pairs_published", False)
            if not published:
                got, wanted = ({k: v for k, v in item.items() if k != "pairs"} for item in (got, wanted))
        if got != wanted:
            found.append(f"{name} is {got}, expected {wanted}")
    return found


# --- steps as commands ---


def _submit(telling: _Telling, step: Json) -> Command:
    side = SIDE[step["side"]]
    kind = step["type"]
    flags = FLAG_MARKET * (kind in ("market", "stop")) + FLAG_POST_ONLY * bool(step.get("post_only"))
    worst = HIGHEST if side == Side.BUY else LOWEST
    stated = {"limit": "price", "stop_limit": "price", "pegged": "cap"}.get(kind, "protection")
    return telling.command(
        Kind.NEW,
        price=step.get(stated, worst),
        lots=step["lots"],
        account=telling.account(step["owner"]),
        series=SERIES,
        side=side,
        tif=TIF[step.get("tif", "gtc")],
        flags=flags,
        terms=Terms(
            trigger=_given(step, "trigger"),
            display=_given(step, "display"),
            refresh_below=_given(step, "refresh_below"),
            min_lots=_given(step, "min_lots"),
            expire_ns=_given(step, "expire_at"),
            offset=step.get("offset", 0),
            oco=_group(telling, step),
            peg=PEG[step["peg"]] if "peg" in step else Peg.NONE,
            self_trade=SelfTrade[step["self_trade"].upper()] if "self_trade" in step else SelfTrade.SERIES,
        ),
    )


def _given(step: Json, name: str) -> int:
    """A term; what is given as 0 is as wrong as what is below it, and not absent."""
    return (step[name] or -1) if name in step else 0


def _group(telling: _Telling, step: Json) -> int:
    """Group names share the numbering of owners, which is as good as any."""
    return telling.account(f"group {step['oco']}") if "oco" in step else 0


def _replace(telling: _Telling, step: Json) -> Command:
    lots = step.get("lots", KEEP)
    return telling.command(
        Kind.REPLACE,
        target=telling.order(step["id"]),
        account=telling.account(step["owner"]),
        price=step.get("price", 0),
        lots=lots if lots >= 0 or "lots" not in step else KEEP - 1,
        terms=Terms(expire_ns=_given(step, "expire_at")),
    )


def _cancel(telling: _Telling, step: Json) -> Command:
    return telling.command(Kind.CANCEL, target=telling.order(step["id"]), account=telling.account(step["owner"]))


def _cancel_all(telling: _Telling, step: Json) -> Command:
    return telling.command(
        Kind.MASS_CANCEL,
        account=telling.account(step.get("owner", "")),
        series=SERIES,
        side=SIDE[step.get("side", "buy")],
        flags=FLAG_SIDE if "side" in step else 0,
    )


def _kill(telling: _Telling, step: Json) -> Command:
    return telling.command(Kind.KILL, account=telling.account(step["owner"]))


def _revive(telling: _Telling, step: Json) -> Command:
    return telling.command(Kind.REVIVE, account=telling.account(step["owner"]))


def _deadman(telling: _Telling, step: Json) -> Command:
    return telling.command(Kind.DEADMAN, account=telling.account(step["owner"]), lots=step["timeout"])


def _phase(telling: _Telling, step: Json) -> Command:
    return telling.command(Kind.PHASE, series=SERIES, target=PHASE[step["phase"]], price=step.get("reference", 0))


def _uncross(telling: _Telling, step: Json) -> Command:
    after = PHASE[step.get("next", "continuous")]
    return telling.command(Kind.UNCROSS, series=SERIES, target=after, price=step.get("reference", 0))


_COMMANDS: dict[str, Callable[[_Telling, Json], Command]] = {
    "submit": _submit,
    "replace": _replace,
    "cancel": _cancel,
    "cancel_all": _cancel_all,
    "kill": _kill,
    "revive": _revive,
    "deadman": _deadman,
    "phase": _phase,
    "uncross": _uncross,
}
