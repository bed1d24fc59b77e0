"""What a real Dokploy serves, by its containers, records and logs, against what the bridge says.

The containers are the best witness: the log of each build names the image that it wrote, and the
running container names the image that it was made of. Where no log names one, a container that is
older than a deployment does not serve that. Where no container can be seen, the newest record that
was carried out has to do; one is carried out although its record says otherwise where
the log ends with a refused update to `done`, which follows that of the service.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.trial.database import Record

RECONCILED_WITHIN = 75.0
"""Seconds in which the bridge must notice what others have done; it looks once a minute."""

WRITTEN = re.compile(r"writing image (sha256:[0-9a-f]{64})")
CARRIED_OUT = re.compile(r'Failed query: update "deployment"[^\0]*?params: done')
"""The line of a log by which Dokploy could not record that it had updated the service."""


@dataclass(frozen=True)
class Container:
    """A running container: the id of its image, the image's name, and when it was made."""

    image_id: str
    image: str
    created: str = field(default="", compare=False)


@dataclass(frozen=True)
class Served:
    """What an app serves.

    Attributes:
        versions: the names of its version: a commit, or the image of an app without commits; none
            where no witness can tell.
        told: whether a record or a container says so; else it is what was asked for.
        by_hand: whether a person has deployed it in Dokploy itself.
        sure: whether it can be told; the end of a stuck record can't be, without containers.
        stopped: whether a person has stopped it in Dokploy, so that nothing of it runs.
    """

    versions: frozenset[str] = frozenset()
    told: bool = field(default=True, kw_only=True)
    by_hand: bool = False
    sure: bool = True
    stopped: bool = False


def running_of(found: Mapping[str, Any]) -> Container:
    """Read the answer of `docker inspect`."""
    image = str(found["Config"]["Image"]).partition("@")[0]
    return Container(str(found["Image"]), image, str(found["Created"]))


def carried_out(record: Record, log: str) -> bool:
    """Return whether a record's service was updated."""
    return record.status == "done" or bool(CARRIED_OUT.search(log))


def served(
    records: Sequence[Record],
    logs: Mapping[str, str],
    container: Container | None,
    persons: set[str],
) -> Served | None:
    """Return what is served; None if nothing was deployed yet.

    Args:
        records: of the app, oldest first.
        logs: the logs of these records, by their ids.
        container: the one that runs; None if none can be seen.
        persons: titles of deployments that people made in Dokploy.
    """
    done = [one for one in records if carried_out(one, logs[one.id])]
    sure = not any(one.status == "running" for one in records[len(records) - 1 :])
    if container is not None and any(WRITTEN.search(text) for text in logs.values()):
        made = [one for one in records if container.image_id in WRITTEN.findall(logs[one.id])]
        told = not made or bool(made[-1].commit)
        return Served(_versions(made), _by(made or done, persons), told=told)
    if container is not None and not _versions(records):
        return Served(frozenset({container.image}), _by(done, persons))
    if container is not None and container.created:  # no log names an image: nothing newer runs
        done = [one for one in done if _moment(one.last["startedAt"]) <= _moment(container.created)]
    if not done:
        return None
    told = any(one.commit for one in done[-1:])
    return Served(_versions(done[-1:]) or _versions(done), _by(done, persons), sure, told=told)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _versions(records: Sequence[Record]) -> frozenset[str]:
    return frozenset(filter(None, (_version(one) for one in records)))


def _version(record: Record) -> str | None:
    if record.commit:
        return record.commit
    told = re.search(r"\bcommit ([0-9a-f]{40})\b", record.words)
    return told and told[1]


def _by(records: Sequence[Record], persons: set[str]) -> bool:
    return bool(records) and records[-1].first["title"] in persons


def unlike(said: Mapping[str, Any] | None, real: Served | None, head: str) -> list[str]:
    """Return each difference between `live` of `apps --json` and what is served, as a sentence.

    Args:
        head: the newest commit of the app's branch.
    """
    if real is None:
        return [f"it says that {_named(said)} is live, and nothing is"] if _known(said) else []
    truth = " or ".join(sorted(one[:12] for one in real.versions)) or "something else"
    if not _known(said):
        return [f"it does not say what is live: {truth} is"] if real.sure else []
    assert said is not None
    found = []
    name = said["commit"] or said["image"]
    if real.stopped is not (said["health"] == "stopped"):
        state = "stopped in Dokploy" if real.stopped else "running"
        found.append(f"it says that {_named(said)[:12]} is {said['health']}; it is {state}")
    if real.versions and name not in real.versions and (name or real.told):
        found.append(f"it says that {_named(said)[:12]} is live; {truth} is")
    if real.by_hand and said["health"] == "verified":
        found.append(f"it says that {truth} is verified, which a person has deployed in Dokploy")
    behind = said.get("behind")
    if behind and not behind["pushes"] and real.versions and head not in real.versions:
        found.append(f"it says that it is up to date with {head[:7]}; {truth} is live")
    return found


def _known(said: Mapping[str, Any] | None) -> bool:
    return bool(said and said["known"])


def _named(said: Mapping[str, Any] | None) -> str:
    return str(said and (said["commit"] or said["image"]))
