"""`tallystick order`: place, cancel and list orders over HTTP, as any other client does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api.client import FILE, Client, ClientFailed, credentials
from api.commands.door import Failed
from api.output import Output


def who(given: Path | None, data: Path) -> Path | None:
    """The file of credentials: the one that was given, else that of the data folder; None: ask the environment."""
    made = data / FILE
    return given or (made if made.exists() else None)


def place(
    output: Output,
    file: Path | None,
    *,
    side: str,
    symbol: str,
    lots: str,
    price: str,
    market: bool,
    at_once: bool,
) -> None:
    body = {
        "series": symbol,
        "side": side,
        "type": "market" if market else "limit",
        "price": price,
        "quantity": lots,
    }
    if at_once and not market:
        body["time_in_force"] = "IOC"
    _say(output, _ask(file, lambda client: client.post("/v1/orders", body)))


def cancel(output: Output, file: Path | None, order: str) -> None:
    _say(output, _ask(file, lambda client: client.delete(f"/v1/orders/{quote(order, safe=':')}")))


def show(output: Output, file: Path | None, *, symbol: str | None, limit: int) -> None:
    found = _ask(file, lambda client: client.get("/v1/orders", limit=limit, series=symbol))
    if output.as_json:
        output.json(found)
        return
    columns = ("id", "symbol", "side", "price", "quantity", "filled_quantity", "status", "accepted_at")
    output.table(
        "Orders, the latest first",
        [name.replace("_", " ") for name in columns],
        ([order[name] for name in columns] for order in found["data"]),
    )


def _ask(file: Path | None, question: Any) -> Any:
    try:
        with closing(Client(credentials(file))) as client:
            return question(client)
    except ClientFailed as error:
        raise Failed(error.code, str(error)) from error


def _say(output: Output, answer: dict[str, Any]) -> None:
    if output.as_json:
        output.json(answer)
        return
    told = {name: value for name, value in answer.items() if value is not None and not isinstance(value, dict)}
    hold = answer.get("hold")
    if hold:
        told["hold"] = f"{hold['amount']} {hold['asset']}"
    output.facts(f"Order {answer['id']}", told)
