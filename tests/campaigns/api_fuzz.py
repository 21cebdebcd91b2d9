"""N generated requests over every operation of the published description, valid ones and spoiled ones.

No answer may be a 5xx, have a status, media type or body that is not described, or accept what the description forbids.
Each operation is asked in the name of a party that may do it, now and then of others and of nobody. Ids of things that
exist stand in for generated ones in half of the valid requests, so that these reach further than `not_found`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import httpx
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from api.authorization import RULES
from tests.api.doors import PARTIES, SERIES, Client, RunningDoors, running_doors
from tests.campaigns.harness import Report, parser, run

NAME: Final = "api-fuzz"
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
KNOWN: Final = {
    "series": (SERIES,),
    "model": ("mdl_1",),
    "model_version": ("mdv_1",),
    "dataset": ("dst_1",),
    "dataset_version": ("dsv_1",),
    "terms": ("trm_1",),
    "party": ("pty_10",),
    "order": ("ord_1", "ord_2", "ord_3", "client:mine"),
    "grant": ("grt_1",),
    "agreement": ("agr_1",),
    "currency": ("ccy_1", "EUR"),
    "position": ("1", "5", "40"),
}
"""Ids of things that exist, by the name of the parameter. Only the last party is frozen and loses its roles."""
KEY_ENDED: Final = ("key_revoked", "key_expired")


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("--cases", type=int, default=5_000, help="requests in all (default 5000)")
    arguments.add_argument("--operation", help="only this one, such as 'POST /v1/orders'")
    return run(NAME, arguments.parse_args(), work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, running_doors(Path(folder)) as house:
        only = None if arguments.operation is None else [arguments.operation]
        fuzz(report, house, cases=arguments.cases, seed_=arguments.seed, only=only)


def fuzz(report: Report, house: RunningDoors, *, cases: int, seed_: int, only: Collection[str] | None = None) -> None:
    """Ask `cases` requests, shared out among the operations (or those named) and the two modes."""
    _prepare(house)
    schema = openapi.from_dict(house.app.openapi())
    operations: list[Any] = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    if only is not None:
        operations = [one for one in operations if one.label in only]
    fuzzer = _Fuzzer(report, house, random.Random(seed_))
    while (missing := cases - report.passed - report.failed) > 0:
        # Not every operation can be spoiled, and small ones have few different requests: then another round is asked.
        before = report.passed + report.failed
        each = max(1, -(-missing // (2 * len(operations))))
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                fuzzer.ask(operation, mode, each, seed_)
            report.progress(f"{report.passed + report.failed} requests")
        assert report.passed + report.failed > before, "nothing can be asked"
        seed_ += 1
    report.details["statuses"] = dict(sorted(fuzzer.statuses.items()))
    report.details["operations"] = len(operations)


class _Fuzzer:
    def __init__(self, report: Report, house: RunningDoors, chance: random.Random) -> None:
        self.statuses: Counter[str] = Counter()
        self._report = report
        self._house = house
        self._chance = chance

    def ask(self, operation: Any, mode: GenerationMode, cases: int, seed_: int) -> None:
        """Requests of one operation. What cannot be spoiled, since every request is valid, is not asked."""

        @seed(seed_)
        @settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def requests_of(case: Case[Any]) -> None:
            self._one(case, mode, seed_)

        try:
            requests_of()
        except Exception as error:
            if type(error).__name__ not in ("Unsatisfiable", "SkipTest"):
                raise

    def _one(self, case: Case[Any], mode: GenerationMode, seed_: int) -> None:
        if mode is GenerationMode.POSITIVE and self._chance.random() < 0.5:
            for parameter in case.path_parameters or {}:
                if parameter in KNOWN:
                    case.path_parameters[parameter] = self._chance.choice(KNOWN[parameter])
        name = self._who(case)
        answer = self._send(case, self._house.client(name))
        if answer.status_code == 401 and answer.json()["code"] in KEY_ENDED:
            del self._house.clients[name]
            answer = self._send(case, self._house.client(name))
        self.statuses[f"{answer.status_code // 100}xx"] += 1
        try:
            case.validate_response(Response.from_httpx(answer, verify=True), checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            found = getattr(failure, "exceptions", [failure])
            what = "; ".join(f"{type(one).__name__}: {' '.join(str(one).split())[:400]}" for one in found)
            asked = answer.request
            body = asked.content[:300].decode("utf-8", "replace")
            self._report.fail(
                f"{mode.value} {asked.method} {asked.url} as {name}: {what}; sent {body}",
                replay=f"--seed {seed_} --operation '{case.operation.label}'",
            )
        else:
            self._report.passed += 1

    def _who(self, case: Case[Any]) -> str | None:
        """A party that may do it, mostly."""
        rule = RULES[case.operation.definition.raw["x-action"]]
        if self._chance.random() < 0.1:
            return self._chance.choice([None, *PARTIES])
        able = [name for name, roles in PARTIES.items() if name != "rival" and (not rule.roles or roles & rule.roles)]
        return self._chance.choice(able)

    def _send(self, case: Case[Any], client: Client) -> httpx.Response:
        """Exactly the bytes that schemathesis would send, signed."""
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
        body: Any = prepared.body or b""
        headers = {str(name): value for name, value in prepared.headers.items()}
        for name in ("Content-Length", "X-Api-Key", "X-Timestamp", "X-Nonce", "X-Signature", "Cookie"):
            headers.pop(name, None)
        return client.request(
            str(prepared.method),
            str(prepared.url),
            content=body.encode() if isinstance(body, str) else bytes(body),
            headers={
                name: value if isinstance(value, str) else value.decode("latin-1") for name, value in headers.items()
            },
        )


def _prepare(house: RunningDoors) -> None:
    """Something of each kind that can be asked about."""
    dataset = {
        "key": "provider/texts",
        "title": "Texts",
        "classification": "general",
        "personal_data": "no",
        "source": "a campaign",
    }
    house.client("provider").post("/v1/datasets", json=dataset)
    house.client("provider").post("/v1/datasets/dst_1/versions", json={"label": "v1", "digest": "ab" * 32})
    house.client("studio").sell("50.0", "12.00", primary=True)
    house.client("alice").buy("5.0", "12.00", client_order_id="mine")
    house.client("bob").buy("5.0", "11.00")
    house.settle()


if __name__ == "__main__":
    raise SystemExit(main())
