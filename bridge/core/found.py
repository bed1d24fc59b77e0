"""A push that no webhook has told of, as a delivery that reconciliation keeps."""

import json
from dataclasses import asdict
from typing import Any

from bridge.core.errors import MalformedPayload
from bridge.core.events import Commit, Ref, RefPushed, Repository
from bridge.core.misfits import unreadable

FOUND_EVENT = "found"
"""The `event` of deliveries that reconciliation keeps; no host has one of that name."""

FOUND_NOTE = "found by reconciliation, so the host has sent no list of changed files"


def write_found(push: RefPushed) -> bytes:
    """The body of such a delivery."""
    repository = asdict(push.repository) | {"urls": sorted(push.repository.urls)}
    commit = None if push.commit is None else asdict(push.commit)
    if commit is not None:
        del commit["parents"]  # an older release takes no field that it does not know
    fields: dict[str, Any] = {
        "repository": repository,
        "ref": str(push.ref),
        "before": push.before,
        "after": push.after,
        "commit": commit,
        "several": push.several,
    }
    return json.dumps(fields, sort_keys=True).encode()


def parse_found(body: bytes) -> RefPushed:
    """Read it back; raises MalformedPayload."""
    try:
        fields = json.loads(body)
        repository = fields["repository"]
        commit = fields["commit"]
        return RefPushed(
            repository=Repository(**repository | {"urls": frozenset(repository["urls"])}),
            ref=Ref.parse(fields["ref"]),
            before=str(fields["before"]),
            after=str(fields["after"]),
            commit=None if commit is None else Commit(**commit),
            paths_note=FOUND_NOTE,
            found=True,
            several=bool(fields.get("several")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedPayload(f"a found push can't be read: {unreadable(error)}") from None
