"""Orders by the hundred: one body, one item for the writer, one answer, and columns in between where columns do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from api.auth.principal import Principal
from api.doors import Doors
from api.idempotency import body_hash, request_id_of
from api.order_entry import client_row, remember_order, request_row
from api.order_replies import CODE, Outcome, accepted, refusal, refused
from api.order_terms import PlaceOrder, Terms, terms_of
from api.problems import problem_of
from domain.rejections import Reason, Refusal
from matching.layout import CLIENT_ID, COMMAND, REQUEST, Kind


async def place_many(
    doors: Doors, principal: Principal, orders: Sequence[PlaceOrder], key: str | None = None
) -> Outcome:
    """Place orders one after the other; what the log refuses of them is part of the outcome.

    Raises Problem, and places none, where one of them does not reach the log.
    """
    party = principal.party
    entered = _all_terms(doors, orders)
    commands = _commands(party, entered)
    requests = None if key is None else _requests(party, key, commands.tobytes(), orders)
    named = any(terms.client_order_id for terms in entered)
    client_ids = None
    if named:
        client_ids = np.frombuffer(b"".join([client_row(terms.client_order_id or "") for terms in entered]), CLIENT_ID)
    results, positions, replayed = await doors.place(commands, requests, client_ids)
    if results[0][CODE] == Reason.REQUEST_ID_REUSED:
        return refused(results[0][CODE], results[0][0], positions[0], replayed=replayed)
    said: list[str] = []
    refusals = 0
    for terms, result, position in zip(entered, results, positions, strict=True):
        if result[CODE]:
            refusals += 1
            said.append(f'{{"order":null,"refusal":{orjson.dumps(refusal(result, position)).decode()}}}')
        else:
            said.append(f'{{"order":{accepted(terms, result, position)},"refusal":null}}')
            if named:
                remember_order(doors, party, terms, result)
    position = max(positions)
    body = (
        f'{{"results":[{",".join(said)}],'
        f'"accepted":{len(results) - refusals},"refused":{refusals},"position":{position}}}'
    )
    return Outcome(orjson.Fragment(body), None, replayed, position)


def _all_terms(doors: Doors, orders: Sequence[PlaceOrder]) -> list[Terms]:
    """Raises the Problem of the first order that breaks a rule."""
    entered = []
    for at, order in enumerate(orders):
        terms = terms_of(doors, order)
        if isinstance(terms, Refusal):
            raise problem_of(replace(terms, field=f"orders[{at}].{terms.field}"))
        entered.append(terms)
    return entered


def _commands(party: int, entered: Sequence[Terms]) -> Any:
    """[n] of COMMAND."""
    rows = np.zeros(len(entered), COMMAND)
    series, rows["price"], rows["lots"], rows["side"], rows["tif"], rows["flags"], _ = zip(*entered, strict=True)
    rows["series"] = [one.number for one in series]
    rows["account"] = rows["actor"] = party
    rows["kind"] = Kind.NEW
    return rows


def _requests(party: int, key: str, joined: bytes, orders: Sequence[PlaceOrder]) -> Any:
    """A REQUEST row for each order: ids that follow from the key, and the hash of the whole batch.

    The first has the id of the key itself, so that it is taken for every other command, too. A batch of another body
    under the same key is refused whole.
    """
    request_id = request_id_of(party, key)
    said = joined + "\0".join([order.client_order_id or "" for order in orders]).encode()
    hashed = body_hash(said, b"")
    ids = [blake2b(request_id + at.to_bytes(4, "little"), digest_size=16).digest() for at in range(1, len(orders))]
    return np.frombuffer(b"".join([request_row(one, hashed) for one in (request_id, *ids)]), REQUEST)
