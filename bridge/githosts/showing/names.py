"""The names of an app's commit status and environment at a Git host. Pure.

Hosts take fewer characters than Dokploy does, and compare names without regard to case
(https://docs.github.com/en/rest/commits/statuses, "context"). So different apps could come to
share a name, and a failure of one would hide behind the success of the other: a name that was
changed, or that another app of the push would have as well, ends with a hash of the app's id.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping

from bridge.core.watch import PRODUCTION, App, environment_of

LONGEST = 255
"""Characters that both hosts take."""

_HASH = 8
_LOW = 0x10000
"""Some hosts refuse characters of four bytes in UTF-8."""


def contexts(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each app's commit status, e.g. "dokploy/shop/web".

    Args:
        labels: of all apps of the pushed repository, by id.
    """
    whole = {id_: f"dokploy/{label}" for id_, label in labels.items()}
    return _apart(whole, {id_: _printable(name) for id_, name in whole.items()})


def environments(labels: Mapping[str, str], apps: Mapping[str, App]) -> dict[str, str]:
    """Return the environment of each app's deployment objects, e.g. "production/shop/web".

    One of its own: a host takes a newer deployment of an environment for the successor of all
    older ones, and GitLab folds what stands before the first slash into one group. GitLab takes
    letters, digits, spaces and `-_/${}.`, and no slash at either end.
    """
    whole = {id_: _environment(apps.get(id_), label) for id_, label in labels.items()}
    return _apart(whole, {id_: _plain(name) for id_, name in whole.items()})


def _environment(app: App | None, label: str) -> str:
    project, name = (app.project, app.name) if app else ("", label)
    return "/".join(part for part in (environment_of(app), project, name) if part)


def _apart(whole: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, str]:
    """Return names that differ: `taken` is what a host takes of the `whole` names."""
    found = {
        id_: name if name == whole[id_] and len(name) <= LONGEST else _with_hash(name, id_)
        for id_, name in taken.items()
    }
    while True:
        times = Counter(name.casefold() for name in found.values())
        shared = [
            id_
            for id_, name in found.items()
            if times[name.casefold()] > 1 and name != _with_hash(taken[id_], id_)
        ]
        if not shared:
            return found
        found |= {id_: _with_hash(taken[id_], id_) for id_ in shared}


def _with_hash(name: str, id_: str) -> str:
    short = hashlib.sha256(id_.encode(errors="backslashreplace")).hexdigest()[:_HASH]
    return f"{name[: LONGEST - _HASH - 1].rstrip()}-{short}"


def _printable(name: str) -> str:
    kept = "".join(one if one.isprintable() and ord(one) < _LOW else "\ufffd" for one in name)
    return " ".join(kept.split())


def _plain(name: str) -> str:
    kept = "".join(one if _is_plain(one) else "-" for one in name)
    return kept.strip("/ ") or PRODUCTION


def _is_plain(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in " -_/.")
