"""The hosts' own descriptions of their APIs, to hold every request against that they are sent.

GitHub's are whole (https://github.com/octokit/openapi), Slack's are the types of its SDK. Those of
the others are the parts in `tests/fixtures/contracts` with each operation that the bridge calls,
and the whole ones that npm has as the types of generated clients, which know no limits.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tests.oracles.host_contracts import FOLDER
from tests.oracles.node_tools import Unavailable, node_home, required
from tests.oracles.openapi import Description, Request
from tests.oracles.typescript import typed_description

GITHUBS = {
    "GitHub": "api.github.com",
    "GitHub Enterprise Server 3.17": "ghes-3.17",
    "GitHub Enterprise Server 3.18": "ghes-3.18",
    "GitHub Enterprise Server 3.19": "ghes-3.19",
}
TYPED = {
    "discord": {"Discord, whole": "discord"},
    "gitea": {"Gitea 1.23, whole": "gitea", "Forgejo 15, whole": "forgejo"},
    "slack": {"Slack": "slack-types"},
}
"""The tools (`tests/node`) that have a host's description as types, by host and name."""

PARTS = ("discord", "gitea", "gitlab")

NOT_IN_IT = re.compile(
    r"gitlab /api/v4/(personal_access_tokens/self|groups/[^/]+/hooks/\d+/events)(\?|$)"
)
"""Operations that docs.gitlab.com has (personal_access_tokens, group_webhooks), not the part."""

_GENERATED = "node_modules/@octokit/openapi/generated"


@cache
def descriptions(host: str) -> tuple[Description, ...]:
    """The descriptions of a host, each whole in what the bridge asks; raises Unavailable."""
    found = _in_fixtures(host)
    if host == "github":
        folder = node_home("octokit") / _GENERATED
        found |= {name: _read(folder / f"{stem}.json") for name, stem in GITHUBS.items()}
    found |= {name: typed_description(tool) for name, tool in TYPED.get(host, {}).items()}
    return tuple(Description(name, one) for name, one in found.items())


def _in_fixtures(host: str) -> dict[str, Any]:
    return {host: _read(FOLDER / f"{host}.json")} if host in PARTS else {}


def _read(file: Path) -> Any:
    return json.loads(file.read_text())


@cache
def _known(host: str) -> tuple[Description, ...]:
    """Return the descriptions found on this machine.

    Raises:
        Unavailable: one is missing, in CI.
    """
    try:
        return descriptions(host)
    except Unavailable:
        if required():
            raise
        return tuple(Description(name, one) for name, one in _in_fixtures(host).items())


def misasked(host: str, asked: Iterable[Request]) -> list[str]:
    """Everything that requests ask for and the host does not have, or not so."""
    return [
        f"{one.method} {one.path}: {fault} ({description.name})"
        for one in asked
        if not NOT_IN_IT.match(f"{host} {one.path}")
        for description in _known(host)
        for fault in description.faults(one)
    ]
