"""`doctor` looks the logins of `identities` up, and says of which it could not."""

from types import SimpleNamespace
from typing import Any

import pytest

from bridge.app.doctor.names import of_identities
from bridge.core.errors import Refused
from bridge.ports.checks import Level

REFUSED = "the token may not read accounts"


class Host:
    """It knows Grace, may not be asked for Dave, and nobody else is there."""

    def __init__(self, *, hides: bool) -> None:
        self.hides_accounts = hides

    async def number_of(self, repository: str, login: str) -> str | None:
        del repository
        if login == "dave":
            raise Refused("gitea", REFUSED, status=403)
        return "22" if login == "grace" else None

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("hides", "level", "more"),
    [(False, Level.ERROR, ""), (True, Level.WARNING, ", or its profile is private")],
)
async def test_one_refusal_hides_no_other_finding(hides: bool, level: Level, more: str) -> None:
    provider = SimpleNamespace(api=lambda _name, _given: Host(hides=hides))
    server: Any = SimpleNamespace(name="gitea", given=None, provider=provider)
    people = {f"identities.{one}": frozenset({f"gitea:{one}"}) for one in ("ada", "dave", "grace")}

    found = [one async for one in of_identities(server, people, "my-org/mono")]

    gone = f"identities.ada: gitea knows no account ada: it was renamed or removed{more}"
    assert [(one.level, one.says) for one in found] == [
        (level, gone),
        (Level.OK, "1 of 2 logins that `identities` names were found"),
        (
            Level.WARNING,
            f"1 login that `identities` names could not be looked up: gitea: {REFUSED}",
        ),
    ]
