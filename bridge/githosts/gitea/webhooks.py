"""Gitea and Forgejo: webhooks of repositories, organisations, users and the whole server.

https://docs.gitea.com/usage/webhooks
"""

import hmac
import re
from collections.abc import Mapping, Sequence

from multidict import CIMultiDict

from bridge.core.errors import BadSignature, Rejected, UnknownSecret
from bridge.core.events import ZERO, Commit, Event, Ignored, Ref, RefKind, RefPushed
from bridge.core.people import Writer
from bridge.githosts.authors import authors_of
from bridge.githosts.gitea.events import (
    BESIDES_PUSHES,
    Account,
    SentRepository,
    login_of,
    repository_of,
)
from bridge.githosts.webhook import (
    Commits,
    FullRef,
    ListedCommit,
    Model,
    Name,
    Sha,
    address,
    as_bytes,
    branch_or_tag,
    check,
    find,
    form_field,
    header,
    id_of,
    live,
    load,
    nothing,
    same,
    union,
)
from bridge.ports.githosts import Body, Envelope

PRODUCTS = ("X-Gitea", "X-Forgejo")
"""The header prefix of each product; Forgejo sends both."""

PRIVATE = re.compile(r"(?:(\d+)\+)?([\w.-]+)@noreply\.[\w.-]+", re.ASCII)
"""The private addresses of accounts: their number, if it is in it, and their login."""

_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_FORM = "application/x-www-form-urlencoded"

_WHY_IGNORED = {
    "create": "event create: a push of the same ref is sent as well, which deploys",
}


_NOT_USED = "is not used, only pushes, deletions, pull requests, statuses and workflows are"


class _Push(Model):
    ref: FullRef
    before: Sha
    after: Sha
    commits: Commits | None = None
    total_commits: int | None = None
    head_commit: ListedCommit | None = None
    repository: SentRepository
    pusher: Account | None = None


class _Deletion(Model):
    ref: Name
    ref_type: Name
    repository: SentRepository
    sender: Account | None = None


class Gitea:
    """Webhooks of Gitea or Forgejo, signed with one of the live secrets."""

    name = "gitea"

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take the live secrets, several while they are rotated; ValueError if one is empty."""
        self._secrets = tuple(map(as_bytes, live("Gitea webhook secret", secrets)))
        if not self._secrets:
            raise ValueError("Gitea needs at least one webhook secret")

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:  # noqa: ARG002 - Gitea sends no time
        """Read the headers; see `GitHost.open`."""
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
        return self._envelope(headers, tuple(signatures))

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """Read the headers of a delivery that needs no proof."""
        return self._envelope(CIMultiDict(headers), ())

    def _envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        content_type = header(headers, "Content-Type")
        return Envelope(
            id=_sent(headers, "Delivery"),
            event=_sent(headers, "Event"),
            proof=proof,
            headers={"content-type": content_type} if content_type else {},
        )

    def verify(self, envelope: Envelope, body: Body) -> None:
        """Check the signature over the JSON, even if that is sent as a form.

        If both products' headers are present, both must match; raises BadSignature.
        """
        signed = _json(envelope.headers, body)
        wanted = [hmac.digest(key, signed, "sha256") for key in self._secrets]
        if not all(same(bytes.fromhex(given), wanted) for given in envelope.proof):
            raise UnknownSecret(
                "X-Gitea-Signature does not fit the body: is the webhook's secret one of ours?"
            )

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """Interpret a delivery; see `GitHost.parse`."""
        if event == "push":
            data = load(_json(headers, body), "gitea push")
            del body  # frees the memory of a large one for the next step
            return _pushed(check(_Push, data, "gitea push"))
        if event == "delete":
            return _deleted(
                check(_Deletion, load(_json(headers, body), "gitea delete"), "gitea delete")
            )
        if event in BESIDES_PUSHES:
            what = f"gitea {event.replace('_', ' ')}"
            return BESIDES_PUSHES[event](load(_json(headers, body), what), what)
        return Ignored(_WHY_IGNORED.get(event, f"event {event[:100]} {_NOT_USED}"))


def _sent(headers: Mapping[str, str], name: str) -> str:
    """Return a header under either product's name; raise Rejected if it is missing."""
    found = (header(headers, f"{product}-{name}") for product in PRODUCTS)
    if (value := next((one for one in found if one is not None), None)) is None:
        raise Rejected(f"X-Gitea-{name} is missing; Gitea and Forgejo send it with every webhook")
    return value


def _json(headers: Mapping[str, str], body: Body) -> Body:
    """Return the JSON of a body, which may be in the form field `payload`."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return body
    return form_field(body, "payload", "gitea webhook")


def _pushed(push: _Push) -> RefPushed | Ignored:
    ref = branch_or_tag(push.ref)
    if isinstance(ref, Ignored):
        return ref
    if push.before == push.after:
        return Ignored(f"a test delivery: the {ref.kind} {ref.name} did not move")
    deleted = nothing(push.after)
    created = not deleted and nothing(push.before)
    paths, note = _paths(push, ref, created=created, deleted=deleted)
    return RefPushed(
        repository=repository_of(push.repository),
        ref=ref,
        before=push.before,
        after=push.after,
        commit=None if deleted else _commit(push, ref),
        created=created,
        deleted=deleted,
        forced=None,  # Gitea does not say
        paths=paths,
        paths_note=note,
        pusher=login_of(push.pusher),
        authors=authors_of(
            PRIVATE,
            push.commits,
            _pusher(push.pusher or Account()),
            cut=push.after if _cut(push) else "",
        ),
    )


def _pusher(account: Account) -> Writer:
    return Writer(login_of(account), id_of(account.id), address(account.email))


def _deleted(deletion: _Deletion) -> RefPushed | Ignored:
    """Return the deletion of a branch, which sends no push; that of a tag does."""
    if deletion.ref_type != "branch":
        kind = deletion.ref_type[:100]
        return Ignored(f"event delete of a {kind}: a push of the same ref is sent as well")
    full = check(_FullName, {"ref": f"refs/heads/{deletion.ref}"}, "gitea delete").ref
    return RefPushed(
        repository=repository_of(deletion.repository),
        ref=Ref.parse(full),
        before=ZERO,  # Gitea does not say
        after=ZERO,
        deleted=True,
        forced=None,
        paths_note="the branch was deleted",
        pusher=login_of(deletion.sender),
    )


class _FullName(Model):
    ref: FullRef


def _commit(push: _Push, ref: Ref) -> Commit | None:
    """Return the pushed commit; an annotated tag's `after` is the tag object."""
    if push.head_commit:
        return push.head_commit.meaning(push.head_commit.id)
    if listed := find(push.commits or [], push.after):
        return listed.meaning(push.after)
    return Commit(push.after) if ref.kind is RefKind.BRANCH else None


def _paths(
    push: _Push, ref: Ref, *, created: bool, deleted: bool
) -> tuple[tuple[str, ...] | None, str]:
    """Return the changed files and "", or None and why they are unknown."""
    if deleted:
        return None, f"the {ref.kind} was deleted"
    if ref.kind is RefKind.TAG:
        return None, "a tag push lists no files"
    if created:
        return None, "a new branch has nothing to compare with"
    return _listed(push)


def _cut(push: _Push) -> bool:
    """Return whether more commits may have been pushed than are listed."""
    return push.total_commits is None or push.total_commits > len(push.commits or ())


def _listed(push: _Push) -> tuple[tuple[str, ...] | None, str]:
    """Read the files of the listed commits; a server lists 5 by default."""
    commits, total = push.commits or [], push.total_commits
    if not commits and push.before != push.after:
        return None, "Gitea listed no commits although the branch moved"
    if total is None:
        return None, "this Gitea does not say how many commits the push has, as before 1.18"
    if total > len(commits):
        return None, f"Gitea listed {len(commits)} of {total} commits"
    every: list[list[str]] = []
    for commit in commits:
        if (files := commit.files()) is None:
            return None, f"Gitea listed no files for commit {commit.id[:7]}"
        every.append(files)
    return union(every), ""
