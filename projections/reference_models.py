"""The tables of assets, compliance, revenue and traders in plain Python, one row after the other.

What a rebuilt generation is compared with. It shares the tables' columns with the read models and nothing of their
folds: no arrays, no batches, no memory beside the rows themselves. The flow of a block comes from
`projections.reference`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import Table

from domain import events as e
from domain.events import Envelope, Fact
from domain.values import AccountKind, PostingCode
from ledger.blocks import Block
from ledger.mapper import SEALED_FIELDS, stream_of
from matching.layout import PPB, Ending, Kind, Section, Side
from projections import assets, compliance, revenue, traders
from projections.flow import FlowRows
from projections.reference_rows import ReferenceRows

Found = dict[str, Any]
"""A row by column name."""


class ReferenceModels:
    """Feed it every entry of the log in order; it puts rows."""

    def __init__(self, rows: ReferenceRows) -> None:
        self._rows = rows
        self._series: set[int] = set()
        self._payees: dict[int, set[int]] = {}
        """By series: everybody with a row in `carried`."""

    def fact(self, position: int, envelope: Envelope, fact: Fact) -> None:
        """Take a fact; its sealed text is opened where the key is at hand."""
        at = _At(position, envelope)
        self._party(at, fact)
        self._dataset(at, fact)
        self._model(at, fact)
        self._venue(at, fact)
        self._entry_of_fact(at, fact)
        self._payment(at, fact)
        self._agreement(at, fact)

    def block(self, position: int, block: Block, flow: FlowRows) -> None:
        """Take a block and what it changed."""
        self._entry_of_block(position, block)
        self._orders(position, block, flow)
        self._statement(position, flow)
        self._revenue(position, block, flow)

    def _change(self, table: Table, key: tuple[Any, ...], **values: Any) -> None:
        row = self._rows.get(table, *key)
        assert row is not None, (table.name, key)
        self._rows.put(table, row | values)

    # -- assets --------------------------------------------------------------------------------------------------------

    # A new row takes the fact's fields of the same names; what else it has is given where it begins.

    def _party(self, at: _At, fact: Fact) -> None:
        match fact:
            case e.PartyRegistered():
                self._begin(assets.parties, at, fact, frozen=0, frozen_note=None, owner=None)
            case e.RoleGranted() | e.RoleRevoked():
                row = self._rows.get(assets.parties, fact.party)
                assert row is not None
                roles = row["roles"] + (int(fact.role) if isinstance(fact, e.RoleGranted) else -int(fact.role))
                self._change(assets.parties, (fact.party,), roles=roles, last_position=at.position)
            case e.OwnershipDeclared():
                self._change(assets.parties, (fact.owned,), owner=fact.owner, last_position=at.position)
            case e.PartyFrozen() | e.PartyUnfrozen():
                frozen = isinstance(fact, e.PartyFrozen)
                note = _plain(fact.note) if frozen else None
                self._change(
                    assets.parties, (fact.party,), frozen=int(frozen), frozen_note=note, last_position=at.position
                )

    def _dataset(self, at: _At, fact: Fact) -> None:
        match fact:
            case e.DatasetRegistered():
                self._begin(assets.datasets, at, fact)
            case e.DatasetVersionRegistered():
                self._begin(assets.dataset_versions, at, fact, **_NEW_VERSION)
                for parent in fact.parents:
                    self._edge(at, assets.DATASET, fact.dataset_version, assets.DATASET, parent, None, "made_from")
            case e.DatasetVersionPublished():
                self._version(at, assets.dataset_versions, fact.dataset_version, state="published")
            case e.DatasetVersionWithdrawn():
                self._version(at, assets.dataset_versions, fact.dataset_version, **_notice(fact))

    def _model(self, at: _At, fact: Fact) -> None:
        match fact:
            case e.ModelRegistered():
                self._begin(assets.models, at, fact)
            case e.TrainingRunRecorded():
                self._begin(assets.training_runs, at, fact)
            case e.ModelVersionRegistered():
                self._begin(assets.model_versions, at, fact, **_NEW_VERSION)
                for parent, weight, role in fact.datasets:
                    self._edge(at, assets.MODEL, fact.model_version, assets.DATASET, parent, weight, role.value)
                for parent, weight, relation in fact.bases:
                    self._edge(at, assets.MODEL, fact.model_version, assets.MODEL, parent, weight, relation.value)
            case e.ModelVersionPublished():
                self._version(at, assets.model_versions, fact.model_version, state="published")
            case e.ModelVersionWithdrawn():
                self._version(at, assets.model_versions, fact.model_version, **_notice(fact))

    def _venue(self, at: _At, fact: Fact) -> None:
        match fact:
            case e.TermsAdopted():
                self._begin(assets.terms, at, fact)
            case e.CurrencyRegistered():
                self._begin(assets.currencies, at, fact)
            case e.SeriesListed():
                version = self._rows.get(assets.model_versions, fact.model_version)
                assert version is not None
                self._begin(
                    assets.series,
                    at,
                    fact,
                    model=version["model"],
                    **_phase(at, 1),
                    list_price_ticks=None,
                    list_price_basis=None,
                    list_price_day=None,
                )
            case e.SeriesHalted():
                self._change(assets.series, (fact.series,), **_phase(at, 2, fact.reason.value, _plain(fact.note)))
            case e.SeriesResumed():
                self._change(assets.series, (fact.series,), **_phase(at, 1))
            case e.SeriesEnded():
                self._change(assets.series, (fact.series,), **_phase(at, 3))
            case e.ListPriceRecorded():
                self._begin(assets.list_prices, at, fact)
                self._change(
                    assets.series,
                    (fact.series,),
                    list_price_ticks=fact.price_ticks,
                    list_price_basis=fact.basis.value,
                    list_price_day=fact.effective_day,
                    last_position=at.position,
                )
            case e.FeeScheduleAdopted():
                self._begin(assets.fee_schedules, at, fact)
            case e.TaxRateSet():
                self._begin(assets.tax_rates, at, fact)

    def _begin(self, table: Table, at: _At, fact: Fact, **given: Any) -> None:
        known = at.row() | {"last_position": at.position} | given
        row = {}
        for column in table.columns:
            row[column.name] = known[column.name] if column.name in known else _plain(getattr(fact, column.name))
        self._rows.put(table, row)

    def _version(self, at: _At, table: Table, number: int, **values: Any) -> None:
        self._change(table, (number,), **values, last_position=at.position)

    def _edge(
        self, at: _At, kind: int, version: int, parent_kind: int, parent: int, weight: int | None, relation: str
    ) -> None:
        self._rows.put(
            assets.lineage,
            {
                "kind": kind,
                "version": version,
                "parent_kind": parent_kind,
                "parent": parent,
                "weight_ppb": weight,
                "relation": relation,
                **at.row(),
            },
        )

    # -- compliance ----------------------------------------------------------------------------------------------------

    def _entry_of_fact(self, at: _At, fact: Fact) -> None:
        personal = [name for name, _ in SEALED_FIELDS[type(fact)]]
        detail: dict[str, Any] = {}
        for name in _fields(fact):
            value = getattr(fact, name)
            if name not in personal and value is not None:
                detail[name] = _json(value)
        concerned = self._concerned(fact)
        kind = type(fact).__name__
        self._rows.put(
            compliance.log_entries,
            {
                **at.row(),
                "kind": kind,
                "stream": stream_of(fact),
                "actor": at.envelope.actor,
                "cause": at.envelope.cause,
                "request_id": at.envelope.request_id,
                **{name: concerned.get(name) for name in compliance.SUBJECTS},
                "number": getattr(fact, _NUMBERS[kind]) if kind in _NUMBERS else None,
                "commands": None,
                "text": _plain(getattr(fact, personal[0])) if personal else None,
                "detail": _compact(detail),
            },
        )

    def _concerned(self, fact: Fact) -> dict[str, int]:
        """What the fact names, then what that belongs to: a series to a model, and both to a party."""
        named = {name: getattr(fact, name) for name in compliance.SUBJECTS if hasattr(fact, name)}
        for role in ("owned", "provider", "developer", "buyer", "issuer"):
            if hasattr(fact, role) and not isinstance(fact, e.WaterfallCompiled):
                named.setdefault("party", getattr(fact, role))
        if isinstance(fact, e.SeriesListed):
            version = self._rows.get(assets.model_versions, fact.model_version)
            assert version is not None
            named["model"] = version["model"]
        for table, number, taken in (
            (assets.series, "series", {"model": "model", "terms": "terms", "party": "issuer"}),
            (revenue.agreements, "agreement", {"model": "model"}),
            (assets.datasets, "dataset", {"party": "provider"}),
            (assets.models, "model", {"party": "developer"}),
        ):
            row = self._rows.get(table, named[number]) if number in named else None
            if row is not None:
                for name, column in taken.items():
                    named.setdefault(name, row[column])
        return named

    def _entry_of_block(self, position: int, block: Block) -> None:
        header = block.header
        commands = block.rows(Section.COMMANDS)
        refused = [row for row in block.rows(Section.RESULTS) if row["code"]]
        counts = {
            "commands": len(commands),
            "fills": len(block.rows(Section.FILLS)),
            "endings": len(block.rows(Section.ENDINGS)),
            "postings": len(block.rows(Section.POSTINGS)),
            "grants": len(block.rows(Section.GRANTS)),
            "accounts": len(block.rows(Section.ACCOUNTS)),
            "refused": len(refused),
            "last_command": int(commands[-1]["command"]) if len(commands) else 0,
        }
        self._rows.put(
            compliance.log_entries,
            {
                "position": position,
                "kind": "FlowBlock",
                "stream": f"shard-{header['shard']}",
                "command": int(header["first_command"]),
                "at_ns": int(header["last_at_ns"]),
                "actor": 0,
                "cause": None,
                "request_id": None,
                **dict.fromkeys(compliance.SUBJECTS),
                "number": int(header["block"]),
                "commands": len(commands),
                "text": None,
                "detail": _compact(counts),
            },
        )

    # -- traders -------------------------------------------------------------------------------------------------------

    def _payment(self, at: _At, fact: Fact) -> None:
        match fact:
            case e.DepositRecorded():
                self._begin(traders.payments, at, fact, actor=at.envelope.actor, code=int(PostingCode.DEPOSIT))
            case e.WithdrawalRecorded():
                self._begin(traders.payments, at, fact, actor=at.envelope.actor, code=int(PostingCode.WITHDRAWAL))
            case e.SaleRefunded():
                self._begin(traders.refunds, at, fact, actor=at.envelope.actor)

    def _orders(self, position: int, block: Block, flow: FlowRows) -> None:
        rows = self._rows
        names = {int(row["command"]): row["client_order_id"].decode() for row in block.rows(Section.CLIENT_IDS)}
        for life in _each(flow.orders):
            rows.put(traders.orders, _row(traders.orders, life, order_number=life["order"], position=position))
            if life["command"] in names:
                given = {"order_number": life["order"], "client_order_id": names[life["command"]]}
                rows.put(traders.client_orders, _row(traders.client_orders, life, **given))
        for refused in _each(flow.refusals):
            rows.put(traders.refusals, _row(traders.refusals, refused, position=position))
        times = {int(row["command"]): int(row["at_ns"]) for row in block.rows(Section.COMMANDS)}
        for ending in block.rows(Section.ENDINGS):
            if ending["reason"] == Ending.REDUCED:
                rows.put(
                    traders.reductions,
                    {
                        "order_number": int(ending["order"]),
                        "command": int(ending["command"]),
                        "at_ns": times[int(ending["command"])],
                        "lots": int(ending["lots"]),
                        "position": position,
                    },
                )
        for trade in _each(flow.trades):
            for side in (Side.BUY, Side.SELL):
                takes = trade["taker_side"] == side
                seen = {
                    "side": int(side),
                    "party": trade["buyer" if side == Side.BUY else "seller"],
                    "order_number": trade["taker_order" if takes else "maker_order"],
                    "maker": 0 if takes else 1,
                    "is_primary": trade["primary"],
                    "fee_minor": trade["buyer_fee_minor" if side == Side.BUY else "seller_fee_minor"],
                    "tax_minor": trade["tax_minor"] if side == Side.BUY else 0,
                    "royalty_minor": trade["royalty_minor"] if side == Side.SELL else 0,
                    "position": position,
                }
                rows.put(traders.fills, _row(traders.fills, trade, **seen))
        for balance in _each(flow.balances):
            rows.put(traders.accounts, _row(traders.accounts, balance, position=position))
        kinds = {int(row["command"]): int(row["kind"]) for row in block.rows(Section.COMMANDS)}
        for change in _each(flow.grants):
            grant = rows.get(traders.grants, change["grant"]) or {
                "grant_number": change["grant"],
                "holder": change["holder"],
                "series": change["series"],
                "bought_lots": 0,
                "sold_lots": 0,
                "returned_lots": 0,
                "command": change["command"],
                "at_ns": change["at_ns"],
            }
            returned = kinds.get(change["command"]) == Kind.REFUND
            of = "bought_lots" if change["change"] > 0 else "returned_lots" if returned else "sold_lots"
            grant[of] += abs(change["change"])
            grant |= {"last_command": change["command"], "last_at_ns": change["at_ns"]}
            rows.put(traders.grants, grant | {"lots": change["lots"], "position": position})

    def _statement(self, position: int, flow: FlowRows) -> None:
        lines: dict[tuple[int, int], Found] = {}
        series_of = {trade["command"]: trade["series"] for trade in _each(flow.trades)}
        for moved in _each(flow.movements):
            at = (moved["account"], moved["command"])
            if at not in lines:
                parts = dict.fromkeys((*traders.PARTS, "other_minor", "amount_minor", "postings"), 0)
                given = {"line": moved["index"], "series": series_of.get(moved["command"], 0), "position": position}
                lines[at] = _row(traders.statement_lines, moved, **parts, **given)
            line = lines[at]
            if moved["other"] < 0:
                line["series"] = -moved["other"]
            part = next((name for name, codes in traders.PARTS.items() if moved["code"] in codes), "other_minor")
            line[part] += moved["amount_minor"]
            line["amount_minor"] += moved["amount_minor"]
            line["balance_minor"] = moved["balance_minor"]
            line["postings"] += 1
        for line in lines.values():
            self._rows.put(traders.statement_lines, line)

    # -- revenue -------------------------------------------------------------------------------------------------------

    def _agreement(self, at: _At, fact: Fact) -> None:
        match fact:
            case e.AgreementSigned():
                self._begin(revenue.agreements, at, fact, took_effect_at_ns=None, took_effect_position=None)
            case e.AgreementTookEffect():
                self._change(
                    revenue.agreements,
                    (fact.agreement,),
                    took_effect_at_ns=at.envelope.at_ns,
                    took_effect_position=at.position,
                )
            case e.WaterfallCompilationFailed():
                self._begin(revenue.waterfall_failures, at, fact, reason=int(fact.reason))
            case e.SeriesListed():
                zero = dict.fromkeys(
                    ("waterfall_version", "era", "era_minor", "suspense_minor", "difference_position"), 0
                )
                version = self._rows.get(assets.model_versions, fact.model_version)
                assert version is not None
                self._begin(revenue.revenue_series, at, fact, model=version["model"], **zero)
                self._payees[fact.series] = set()
            case e.WaterfallCompiled():
                self._waterfall(at, fact)

    def _waterfall(self, at: _At, fact: e.WaterfallCompiled) -> None:
        for payee, weight in fact.rows:
            given = {"payee": payee, "weight_ppb": weight}
            self._begin(revenue.waterfall_weights, at, fact, **given)
        for line, (payee, way, share) in enumerate(fact.derivation):
            self._begin(revenue.waterfall_ways, at, fact, line=line, payee=payee, way=way, share=share)
        staying = [payee for payee, _ in fact.rows]
        heir = fact.developer if fact.developer in staying else staying[0]
        for payee in sorted(self._payees[fact.series]):
            carries = self._carried(fact.series, payee)
            if payee not in staying and carries:
                for changed, ppb in ((payee, 0), (heir, self._carried(fact.series, heir) + carries)):
                    self._carry(at.position, fact.series, changed, ppb)
                    self._payee_day(at.position, at.envelope.at_ns, fact.series, changed)
        for payee in staying:
            if payee not in self._payees[fact.series]:
                self._carry(at.position, fact.series, payee, 0)
        self._change(revenue.revenue_series, (fact.series,), waterfall_version=fact.version, position=at.position)
        self._era(fact.series, fact.version)

    def _era(self, series: int, version: int) -> None:
        known = self._known(series)
        self._change(revenue.revenue_series, (series,), era=known["era"] + 1, era_minor=0)
        for payee, weight in self._weights(series, version).items():
            self._rows.put(
                revenue.era_payees,
                {
                    "series": series,
                    "era": known["era"] + 1,
                    "payee": payee,
                    "version": version,
                    "weight_ppb": weight,
                    "carry_ppb": self._carried(series, payee),
                },
            )

    def _revenue(self, position: int, block: Block, flow: FlowRows) -> None:
        """Command by command: what it gives to be split, then what its payees were paid."""
        happened: dict[int, list[tuple[str, Found]]] = {}
        for trade in _each(flow.trades):
            happened.setdefault(trade["command"], []).append(("trade", trade))
        for moved in _each(flow.movements):
            if moved["code"] == PostingCode.REFUND and moved["kind"] == AccountKind.AVAILABLE:
                happened.setdefault(moved["command"], []).append(("refund", moved))
        for share in _each(flow.shares):
            happened.setdefault(share["command"], []).append(("share", share))
        versions = {int(row["command"]): int(row["target"]) for row in block.rows(Section.COMMANDS)}
        for command in sorted(happened):
            other_version = None
            for what, row in happened[command]:
                if what == "trade":
                    self._traded(position, row)
                    source = "sales_minor" if row["primary"] else "royalties_minor"
                    amount = row["notional_minor"] if row["primary"] else row["royalty_minor"]
                    if amount:
                        newest = self._known(row["series"])["waterfall_version"]
                        self._split(position, row, row["series"], newest, source, amount)
                elif what == "refund":
                    series, version = -row["other"], versions[command]
                    if version != self._known(series)["waterfall_version"]:
                        other_version = series
                        self._era(series, version)
                    self._split(position, row, series, version, "refunds_minor", row["amount_minor"])
                else:
                    self._paid(position, row)
            if other_version is not None:
                self._era(other_version, self._known(other_version)["waterfall_version"])
        for suspense in _each(flow.suspense):
            self._compared(position, suspense["series"], suspense["amount_minor"])

    def _split(self, position: int, row: Found, series: int, version: int, source: str, amount: int) -> None:
        known = self._known(series)
        signed = -amount if source == "refunds_minor" else amount
        line = self._rows.get(revenue.revenue_lines, series, row["command"], position) or {
            "series": series,
            "command": row["command"],
            "position": position,
            "at_ns": row["at_ns"],
            "era": known["era"],
            "before_minor": known["era_minor"],
            "sales_minor": 0,
            "royalties_minor": 0,
            "refunds_minor": 0,
        }
        line[source] += amount
        self._rows.put(revenue.revenue_lines, line)
        self._change(revenue.revenue_series, (series,), era_minor=known["era_minor"] + signed)
        self._series_day(position, row["at_ns"], series, signed, **{source: amount})
        for payee, weight in self._weights(series, version).items():
            self._carry(position, series, payee, self._carried(series, payee) + signed * weight)
            self._payee_day(position, row["at_ns"], series, payee, **{source: amount})

    def _paid(self, position: int, share: Found) -> None:
        series, payee, amount = share["series"], share["payee"], share["amount_minor"]
        paid = {"shares_minor": amount} if amount > 0 else {"reclaimed_minor": -amount}
        self._series_day(position, share["at_ns"], series, -amount, **paid)
        self._carry(position, series, payee, self._carried(series, payee) - amount * PPB)
        self._payee_day(position, share["at_ns"], series, payee, **paid)

    def _traded(self, position: int, trade: Found) -> None:
        added = {
            "trades": 1,
            "lots": trade["lots"],
            "notional_minor": trade["notional_minor"],
            "primary_minor": trade["notional_minor"] if trade["primary"] else 0,
            "fees_minor": trade["buyer_fee_minor"] + trade["seller_fee_minor"],
            "taxes_minor": trade["tax_minor"],
            "royalties_minor": trade["royalty_minor"],
        }
        self._add(revenue.trading_days, position, {"series": trade["series"], "day": _day(trade["at_ns"])}, added)

    def _series_day(self, position: int, at_ns: int, series: int, into_minor: int, **added: int) -> None:
        suspense = self._known(series)["suspense_minor"]
        key = {"series": series, "day": _day(at_ns)}
        fresh = {"suspense_before_minor": suspense}
        self._change(revenue.revenue_series, (series,), suspense_minor=suspense + into_minor, position=position)
        after = {"suspense_after_minor": suspense + into_minor}
        self._add(revenue.series_days, position, key, added, fresh=fresh, now=after)

    def _payee_day(self, position: int, at_ns: int, series: int, payee: int, **added: int) -> None:
        key = {"payee": payee, "series": series, "day": _day(at_ns)}
        self._add(revenue.payee_days, position, key, added, now={"carried_ppb": self._carried(series, payee)})

    def _add(
        self,
        table: Table,
        position: int,
        key: dict[str, int],
        added: dict[str, int],
        *,
        fresh: dict[str, int] | None = None,
        now: dict[str, int] | None = None,
    ) -> None:
        """Add to the sums of a day's row, which begins with zeros and `fresh`; `now` replaces."""
        row = self._rows.get(table, *key.values())
        if row is None:
            zeros = {column.name: 0 for column in table.columns}
            row = zeros | key | {"first_position": position} | (fresh or {})
        for name, value in added.items():
            row[name] += value
        self._rows.put(table, row | {"last_position": position} | (now or {}))

    def _compared(self, position: int, series: int, amount_minor: int) -> None:
        known = self._rows.get(revenue.revenue_series, series)
        if known is None:
            return
        parts = [self._carried(series, payee) for payee in self._payees[series]]
        sound = known["suspense_minor"] == amount_minor and sum(parts) == amount_minor * PPB
        if (not sound or any(not 0 <= part < PPB for part in parts)) and not known["difference_position"]:
            self._change(revenue.revenue_series, (series,), difference_position=position)

    def _known(self, series: int) -> Found:
        row = self._rows.get(revenue.revenue_series, series)
        assert row is not None, series
        return row

    def _weights(self, series: int, version: int) -> dict[int, int]:
        found = {}
        for payee in sorted(self._payees[series]):
            row = self._rows.get(revenue.waterfall_weights, series, version, payee)
            if row is not None:
                found[payee] = row["weight_ppb"]
        return found

    def _carried(self, series: int, payee: int) -> int:
        row = self._rows.get(revenue.carried, series, payee)
        return 0 if row is None else int(row["carried_ppb"])

    def _carry(self, position: int, series: int, payee: int, ppb: int) -> None:
        self._payees[series].add(payee)
        row = {"series": series, "payee": payee, "carried_ppb": ppb, "position": position}
        self._rows.put(revenue.carried, row)


class _At:
    """Where a fact stands."""

    def __init__(self, position: int, envelope: Envelope) -> None:
        self.position = position
        self.envelope = envelope

    def row(self) -> dict[str, int]:
        return {"position": self.position, "command": self.envelope.command, "at_ns": self.envelope.at_ns}


_NEW_VERSION: Final = {"state": "registered", "notice": None, "effective_day": None, "note": None}
_NUMBERS: Final = {
    "DatasetVersionRegistered": "dataset_version",
    "DatasetVersionPublished": "dataset_version",
    "DatasetVersionWithdrawn": "dataset_version",
    "TrainingRunRecorded": "training_run",
    "ModelVersionRegistered": "model_version",
    "ModelVersionPublished": "model_version",
    "ModelVersionWithdrawn": "model_version",
    "SeriesListed": "model_version",
    "CurrencyRegistered": "currency",
    "FeeScheduleAdopted": "fee_schedule",
    "SaleRefunded": "trade_command",
    "WaterfallCompiled": "version",
    "StateRootRecorded": "at_command",
}


def _fields(fact: Fact) -> Sequence[str]:
    members: Any = fact
    return [field.name for field in fields(members)]


def _notice(fact: e.DatasetVersionWithdrawn | e.ModelVersionWithdrawn) -> Found:
    notice = {"notice": fact.kind.value, "effective_day": fact.effective_day, "note": _plain(fact.note)}
    return notice | ({"state": "withdrawn"} if fact.kind.value == "withdrawn" else {})


def _phase(at: _At, phase: int, reason: str | None = None, note: Any = None) -> Found:
    return {
        "phase": phase,
        "halt_reason": reason,
        "halt_note": note,
        "phase_at_ns": at.envelope.at_ns,
        "phase_actor": at.envelope.actor,
        "last_position": at.position,
    }


def _plain(value: Any) -> Any:
    """The value of a column: integers, texts, bytes or None; lists as JSON, and None for what is still sealed."""
    match value:
        case Enum():
            return value.value
        case bool():
            return int(value)
        case tuple():
            return _compact(_json(value))
        case e.Sealed():
            return None
        case _:
            return value


def _json(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case tuple():
            return [_json(item) for item in value]
        case bytes():
            return value.hex()
        case _:
            return value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _each(rows: Any) -> Iterator[Found]:
    """The rows of an array as dicts of Python integers."""
    for row in rows:
        yield {name: int(row[name]) for name in rows.dtype.names}


def _row(table: Table, found: Found, **given: Any) -> Found:
    """The columns of a table out of a row of the flow and what is given beside it."""
    known = found | given
    return {column.name: known[column.name] for column in table.columns}


def _day(at_ns: int) -> int:
    return int(datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y%m%d"))
