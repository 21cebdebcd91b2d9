"""Who may look at the demo and as whom: one user for each role, without a password that anybody knows, and an API key.

The page signs a visitor in as one of them by one click, which it offers only where the settings say `demo`, and those
allow it on a loopback address alone.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from api.auth.keys import KeyRequest
from api.auth.store import AuthStore
from api.client import FILE, save_credentials
from api.demo import cast, setup
from api.demo.traders import GUEST

LOGINS: Final = ("trader", "developer", "finance", "auditor", "operator", "payee")
KEY_LABEL: Final = "demo"


def parties() -> dict[str, int]:
    """The party of each login. The developer is the one with the most models, the payee an agent."""
    numbers = cast.number_of()
    issuers = [listing.issuer for listing in setup.listings()]
    return {
        "trader": numbers[GUEST],
        "developer": max(sorted(set(issuers)), key=issuers.count),
        "finance": numbers["finance"],
        "auditor": numbers["auditor"],
        "operator": numbers["operator"],
        "payee": numbers[cast.AGENTS[0].key],
    }


def welcome(auth: AuthStore, data: Path, url: str) -> None:
    """Make the users that are not there yet, and a new API key of the trader in place of the last run's; its
    credentials are left in the data folder.
    """
    known = {user.login for user in auth.users()}
    for login, party in parties().items():
        if login not in known:
            auth.add_user(login, secrets.token_urlsafe(24), party)
    guest = cast.number_of()[GUEST]
    for key in auth.keys(guest):
        if key.label == KEY_LABEL:
            auth.revoke_key(key.number)
    made = auth.add_key(guest, KeyRequest("hmac", KEY_LABEL, frozenset({"read", "trade"}), None, None))
    assert made.secret is not None
    save_credentials(data / FILE, url=url, key=made.key.id, secret=made.secret)
