"""Work out which columns a change of an app's source writes into its row."""

from collections.abc import Mapping
from typing import Any

from bridge.core.configuring.configuration import ProviderSettings
from bridge.core.configuring.row import (
    SHARED,
    SourceRow,
    fields_of,
    row_of,
)
from bridge.core.watch import SourceType, Trigger

_LEFT = ("docker.image", "docker.username", "docker.password", "docker.registry_url")
FORGETS: Mapping[str, Any] = {
    **{
        name: None
        for name in fields_of(SourceRow())
        if name not in _LEFT and name != "bitbucket.slug"
    },
    "source": SourceType.GITHUB.value,
    "github.build_path": "/",
    "submodules": False,
    "trigger": Trigger.PUSH.value,
}
"""The columns that `disconnectGitProvider` writes; image, credentials and Bitbucket's slug stay.

A compose stack has no build paths. Source: facts.md and recorded-2.jsonl, group 254.
"""


def changes(before: SourceRow, after: SourceRow) -> dict[str, Any]:
    """The fields that have to be written to make one row the other."""
    old = fields_of(before)
    return {name: value for name, value in fields_of(after).items() if value != old[name]}


def with_provider(row: SourceRow, old: ProviderSettings | None, new: ProviderSettings) -> SourceRow:
    """The row once the source has become `new`.

    A change within one kind writes the fields that differ. Another kind is written whole:
    its own fields and those of the shared ones that it has.
    """
    kind = new.type.value
    whole = old is None or old.type is not new.type
    written: dict[str, Any] = {"source": kind}
    for name in type(new).model_fields:
        value = getattr(new, name)
        if name == "type" or not (whole or value != getattr(old, name)):
            continue
        key = name if name in SHARED else f"{kind}.{name}"
        written[key] = value.value if isinstance(value, Trigger) else value
    return row_of(fields_of(row) | written)


def forgotten(row: SourceRow, *, build_paths: bool) -> SourceRow:
    """The row once its source is disconnected; a compose stack has no build paths."""
    wiped = {
        name: value
        for name, value in FORGETS.items()
        if build_paths or not name.endswith(".build_path")
    }
    return row_of(fields_of(row) | wiped)
