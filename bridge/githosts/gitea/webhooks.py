"""Gitea and Forgejo: webhooks of repositories, organisations, users and the whole server.

https://docs.gitea.com/usage/webhooks
"""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import AliasChoices, AliasPath, Field

from bridge.core.errors import BadSignature, Rejected
from bridge.core.events import ZERO, CheckReported, Ignored, Ref, RefPushed
from bridge.core.people import Writer
from bridge.githosts.base.commits import NOBODY, Account
from bridge.githosts.base.payloads import (
    Pull,
    PullEvent,
    Push,
    Reader,
    SentRepository,
    SignedWebhooks,
    StatusEvent,
)
from bridge.githosts.base.webhook import (
    FullRef,
    Model,
    Name,
    Sha,
    address,
    check,
    files_of,
    header,
    id_of,
)
from bridge.ports.githosts import Envelope

PRODUCTS = ("X-Gitea", "X-Forgejo")
"""The header prefix of each product; Forgejo sends both."""

_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}").fullmatch


class GiteaPull(Pull):
    """A pull request; before 1.22 only its title says that it is a draft."""

    drafts = ("wip:", "[wip]")  # unless the server is configured otherwise


class _Deletion(Model):
    ref: Name
    ref_type: Name
    repository: SentRepository
    sender: Account | None = None


class _FullName(Model):
    ref: FullRef


class _Workflow(Model):
    sha: Sha = Field(
        validation_alias=AliasChoices(
            AliasPath("workflow_run", "head_sha"), AliasPath("workflow_job", "head_sha")
        )
    )
    repository: SentRepository


class _ForgejoAction(_Workflow):
    sha: Sha = Field(validation_alias=AliasPath("run", "commit_sha"))
    repository: SentRepository = Field(validation_alias=AliasPath("run", "repository"))


class Gitea(SignedWebhooks):
    """Webhooks of Gitea or Forgejo."""

    name = "gitea"
    title = "Gitea"
    signature = "X-Gitea-Signature"
    signs_json = True
    tells_total = True
    uses = frozenset({"synchronized", "label_updated", "label_cleared", "edited", "closed"})
    ignored: ClassVar[Mapping[str, str]] = {
        "create": "event create: a push of the same ref is sent as well, which deploys"
    }
    kinds = "pushes, deletions, pull requests, statuses and workflows"
    form = "gitea webhook"
    private = re.compile(r"(?:(\d+)\+)?([\w.-]+)@noreply\.[\w.-]+", re.ASCII)

    def readers(self) -> Mapping[str, Reader]:
        ended = _ForgejoAction, self._workflow_changed
        return {
            "push": (Push[SentRepository], self.pushed),
            "delete": (_Deletion, self._deleted),
            "pull_request": (PullEvent[GiteaPull, SentRepository], self.pull_changed),
            "status": (StatusEvent[SentRepository], self.status_set),
            "workflow_run": (_Workflow, self._workflow_changed),
            "workflow_job": (_Workflow, self._workflow_changed),
            "action_run_success": ended,
            "action_run_failure": ended,
            "action_run_recover": ended,
        }

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:  # noqa: ARG002 - Gitea sends no time
        if not any(f"{product}-Event" in headers for product in PRODUCTS):
            raise Rejected(
                "neither X-Gitea-Event nor X-Forgejo-Event is there, which Gitea and Forgejo send"
                " with every webhook; on the webhook choose the type Gitea or Forgejo"
            )
        signatures = [
            given for product in PRODUCTS if (given := headers.get(f"{product}-Signature"))
        ]
        if not signatures:
            raise BadSignature("X-Gitea-Signature is missing or empty: set a secret on the webhook")
        if not all(map(_SIGNATURE, signatures)):
            raise BadSignature("X-Gitea-Signature must be 64 hex digits")
        return self.envelope(headers, tuple(signatures))

    def envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        content_type = header(headers, "Content-Type")
        return Envelope(
            id=_sent(headers, "Delivery"),
            event=_sent(headers, "Event"),
            proof=proof,
            headers={"content-type": content_type} if content_type else {},
        )

    # ── events ──────────────────────────────────────────────────────────────

    def pushed(self, push: Push[SentRepository]) -> RefPushed | Ignored:
        """Return the meaning of a push; a test delivery is one that moves nothing."""
        means = super().pushed(push)
        if isinstance(means, RefPushed) and push.before == push.after:
            ref = means.ref
            return Ignored(f"a test delivery: the {ref.kind} {ref.name} did not move")
        return means

    def pushers(self, push: Push[SentRepository]) -> Iterator[Writer]:
        account = push.pusher or NOBODY
        yield Writer(account.called, id_of(account.id), address(account.email))

    def files(self, push: Push[SentRepository]) -> tuple[tuple[str, ...] | None, str]:
        commits, total = push.commits or [], push.total_commits
        if not commits:
            return None, "Gitea listed no commits although the branch moved"
        if total is None:
            return None, "this Gitea does not say how many commits the push has, as before 1.18"
        if total > len(commits):  # a server lists 5 by default
            return None, f"Gitea listed {len(commits)} of {total} commits"
        return files_of(self.title, commits)

    def _deleted(self, deletion: _Deletion) -> RefPushed | Ignored:
        """Return the deletion of a branch, which sends no push; that of a tag does."""
        if deletion.ref_type != "branch":
            kind = deletion.ref_type[:100]
            return Ignored(f"event delete of a {kind}: a push of the same ref is sent as well")
        full = check(_FullName, {"ref": f"refs/heads/{deletion.ref}"}, "gitea delete").ref
        return RefPushed(
            repository=deletion.repository.meaning(self.name),
            ref=Ref.parse(full),
            before=ZERO,  # Gitea does not say
            after=ZERO,
            deleted=True,
            forced=None,
            paths_note="the branch was deleted",
            pusher=(deletion.sender or NOBODY).called,
        )

    def _workflow_changed(self, event: _Workflow) -> CheckReported:
        """Return that a workflow has changed; Gitea's statuses are the checks."""
        return CheckReported(event.repository.meaning(self.name), event.sha)


def _sent(headers: Mapping[str, str], name: str) -> str:
    """Return a header under either product's name; raise Rejected if it is missing."""
    values = (header(headers, f"{product}-{name}") for product in PRODUCTS)
    if (value := next((value for value in values if value is not None), None)) is None:
        raise Rejected(f"X-Gitea-{name} is missing; Gitea and Forgejo send it with every webhook")
    return value
