"""Find the backend's record of a deployment that we asked for.

The backend gives no id in answer to "deploy" (facts.md), so a token goes out in title and
description. It can be read while the job waits or runs. A Git deploy overwrites both at its
end with the commit: such a record may be ours, or that of a person who deployed the same app.
Pure: the records come in, the verdict goes out.
"""

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from bridge.core.events import Action
from bridge.core.lifecycle import Deployment

_TOKEN = re.compile(r"\[br-[0-9a-f]+\]")


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of the backend's history, as far as finding ours needs it.

    Attributes:
        text: title and description.
        commit: the deployed commit, once a Git deploy has overwritten the description.
        created_at: when its build began; seconds since 1970, by the backend's clock.
    """

    id: str
    text: str
    running: bool
    commit: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Match:
    """What the backend's records say of one deployment.

    Attributes:
        ours: its record, where that is sure: by its pinned id, by our token, or as the only
            one that has built our commit since.
        doubtful: records that ended since and no longer tell who asked for them, newest
            first; one of them may be ours. Empty where `ours` is known.
    """

    ours: Seen | None = None
    doubtful: tuple[Seen, ...] = ()


def token_for(salt: str, deployment_id: str) -> str:
    """Return the token of a deployment that is decided with this salt.

    The salt is random, and new at every decision: a bridge whose data was restored from an older
    copy gives the same ids again, and must not take records from before for its own. The token
    is written down with the deployment, so it is the same at every try.
    """
    digest = hashlib.blake2b(f"{salt}\0{deployment_id}".encode(), digest_size=8).hexdigest()
    return token_of(digest)


def token_of(digits: str) -> str:
    """Return the token that some hexadecimal digits make, e.g. `[br-0123456789abcdef]`."""
    return f"[br-{digits}]"


def title_of(deployment: Deployment) -> str:
    """The title that the backend shows while it waits and runs."""
    what = {Action.REDEPLOY: "Rebuild"}.get(deployment.action, "Deploy")
    ref = (deployment.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    at = f" {ref}" if ref else ""
    commit = f"@{deployment.commit[:7]}" if deployment.commit else ""
    return f"{what}{at[:120]}{commit} {deployment.token}"


def description_of(deployment: Deployment) -> str:
    """The description: the whole commit, where the wish came from, and the token."""
    parts = [
        deployment.commit and f"commit {deployment.commit}",
        f"by {deployment.trigger}",
        f"delivery {deployment.delivery}",
        deployment.token,
    ]
    return "; ".join(part for part in parts if part)


def marked(deployment: Deployment, record: Seen) -> bool:
    """Tell whether a record is ours by its pinned id or our token, not by inference."""
    has_token = bool(deployment.token) and deployment.token in record.text
    return has_token or record.id == deployment.backend_id


def match(
    deployment: Deployment,
    records: Sequence[Seen],
    *,
    since: float,
    pinned: Container[str] = (),
    doubt: bool = False,
) -> Match:
    """Find a deployment among the app's newest records.

    Args:
        doubt: it may never have arrived, or may have been lost since, so that even a record of
            our commit may be another's.
        since: our build can't have begun before; by the backend's clock.
        pinned: records that are known to be of other deployments.
    """
    for record in records:
        if marked(deployment, record):
            return Match(record)
    if deployment.backend_id is not None or deployment.action is Action.REDEPLOY:
        return Match()  # a redeploy keeps our token to its end and after
    left = [
        record
        for record in records
        if _may_be_ours(deployment, record) and record.created_at >= since
    ]
    doubtful = sorted(
        (record for record in left if record.id not in pinned),
        key=lambda record: record.created_at,
        reverse=True,
    )
    if not doubt and len(doubtful) == 1 and doubtful[0].commit == deployment.commit:
        return Match(doubtful[0])
    return Match(doubtful=tuple(doubtful))


def _may_be_ours(deployment: Deployment, record: Seen) -> bool:
    """Tell a record that has lost its title from one that never was ours.

    What runs, or failed before its title was overwritten, would still bear our token.
    """
    return (
        record.id not in deployment.known_before
        and not record.running
        and record.commit is not None
        and not _TOKEN.search(record.text)
    )
