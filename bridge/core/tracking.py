"""Which of the backend's records is the deployment that we asked for.

The backend gives no id in answer to "deploy" (facts.md), so a token goes out in title and
description. It can be read while the job waits or runs; a Git deploy overwrites both at
its end. Pure: the records come in, the verdict goes out.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.events import Action
from bridge.core.lifecycle import Deployment

_TOKEN = re.compile(r"\[br-[0-9a-f]+\]")


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of the backend's history or queue, as far as finding ours needs it."""

    id: str
    text: str
    running: bool
    commit: str | None
    created_at: float


def token_for(salt: str, deployment_id: str) -> str:
    """Return the token of a deployment that is decided with this salt.

    The salt is random, and new at every decision: a bridge whose data was restored from an older
    copy gives the same ids again, and must not take records from before for its own. The token
    is written down with the deployment, so it is the same at every try.
    """
    digest = hashlib.blake2b(f"{salt}\0{deployment_id}".encode(), digest_size=8).hexdigest()
    return f"[br-{digest}]"


def token_after(token: str) -> str:
    """The token for asking once more: what still bears the old one is not what we look for."""
    return token_for("again", token)


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
    """Whether a record is ours for sure: by its pinned id or our token, not by inference."""
    has_token = bool(deployment.token) and deployment.token in record.text
    return has_token or record.id == deployment.backend_id


def ours(deployment: Deployment, records: Sequence[Seen]) -> Seen | None:
    """Our record among the app's newest, or None when it is not there (yet).

    By pinned id, else by token, else among those that were not there before we asked: the
    one that deployed our commit, the only one, or the oldest. What still runs under another
    title is somebody else's, since ours would still bear the token.
    """
    for record in records:
        if marked(deployment, record):
            return record
    if deployment.backend_id is not None:
        return None
    fresh = [record for record in records if _may_be_ours(deployment, record)]
    for record in fresh:
        if record.commit is not None and record.commit == deployment.commit:
            return record
    return min(fresh, key=lambda record: record.created_at, default=None)


def _may_be_ours(deployment: Deployment, record: Seen) -> bool:
    return (
        record.id not in deployment.known_before
        and not record.running
        and not _TOKEN.search(record.text)
    )
