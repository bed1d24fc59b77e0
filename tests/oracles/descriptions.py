"""The hosts' own descriptions of their APIs, to hold every request against that they are sent.

GitHub's are whole (https://github.com/octokit/openapi); those of the others are the parts in
`tests/fixtures/contracts` with each operation that the bridge calls.
"""

import json
import re
from collections.abc import Iterable
from functools import cache

from tests.oracles.host_contracts import FOLDER
from tests.oracles.node_tools import Unavailable, node_home, required
from tests.oracles.openapi import Description, Request

GITHUBS = {
    "GitHub": "api.github.com",
    "GitHub Enterprise Server 3.17": "ghes-3.17",
    "GitHub Enterprise Server 3.18": "ghes-3.18",
    "GitHub Enterprise Server 3.19": "ghes-3.19",
}
NOT_IN_IT = re.compile(
    r"gitlab /api/v4/(personal_access_tokens/self|groups/[^/]+/hooks/\d+/events)(\?|$)"
)
"""Operations that docs.gitlab.com has (personal_access_tokens, group_webhooks), not the part."""

_GENERATED = "node_modules/@octokit/openapi/generated"


@cache
def descriptions(host: str) -> tuple[Description, ...]:
    """The descriptions of a host, each whole in what the bridge asks; raises Unavailable."""
    if host == "github":
        folder = node_home("octokit") / _GENERATED
        files = {name: folder / f"{stem}.json" for name, stem in GITHUBS.items()}
    else:
        files = {host: FOLDER / f"{host}.json"}
    return tuple(Description(name, json.loads(file.read_text())) for name, file in files.items())


def misasked(host: str, asked: Iterable[Request]) -> list[str]:
    """Everything that requests ask for and the host does not have, or not so.

    Nothing is said where there is no description; in CI there must be one.
    """
    try:
        known = descriptions(host)
    except Unavailable:
        if required():
            raise
        return []
    return [
        f"{one.method} {one.path}: {fault} ({description.name})"
        for one in asked
        if not NOT_IN_IT.match(f"{host} {one.path}")
        for description in known
        for fault in description.faults(one)
    ]
