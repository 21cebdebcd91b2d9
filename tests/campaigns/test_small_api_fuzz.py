"""The fuzzing of the doors in small: the operations with the richest bodies and queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.doors import running_doors
from tests.campaigns.api_fuzz import fuzz
from tests.campaigns.harness import Report

OPERATIONS = (
    "POST /v1/orders",
    "POST /v1/orders/batch",
    "PATCH /v1/orders/{order}",
    "GET /v1/series/{series}/book",
    "GET /v1/statement",
    "GET /v1/audit/events",
)


def test_no_generated_request_gets_a_5xx_or_an_answer_that_is_not_described(tmp_path: Path) -> None:
    report = Report("api-fuzz")
    with running_doors(tmp_path) as house:
        fuzz(report, house, cases=48, seed_=1, only=OPERATIONS)
    assert report.failed == 0, report.details
    assert report.passed >= 40


def test_an_answer_that_is_not_described_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.routes.health.rfc3339", lambda _: 7)
    report = Report("api-fuzz")
    with running_doors(tmp_path, listed=False) as house:
        fuzz(report, house, cases=2, seed_=1, only=["GET /v1/time"])
    assert report.failed > 0
