"""GitLab, hosted and self-managed: webhooks of projects and groups, and system hooks.

https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict
from pydantic import AliasPath, Field

from bridge.core.errors import BadSignature, MalformedPayload, UnknownSecret
from bridge.core.events import (
    CheckReported,
    Commit,
    Event,
    Ignored,
    PullRequestChanged,
    Ref,
    RefKind,
    RefPushed,
    Repository,
)
from bridge.core.hooks import SIGNED_WITH
from bridge.core.people import Writer
from bridge.githosts.base import webhook
from bridge.githosts.base.commits import authors_of
from bridge.githosts.base.webhook import (
    Commits,
    FullRef,
    Id,
    Model,
    Name,
    Sha,
    address,
    as_bytes,
    branch_or_tag,
    check,
    clone_urls,
    files_of,
    find,
    header,
    id_of,
    live,
    load,
    nothing,
    required,
    same,
    unlisted,
    web_url,
)
from bridge.githosts.gitlab.merges import MergeEvent
from bridge.ports.githosts import Body, Envelope

MOST_COMMITS = 20
MOST_OPTIONS = 100
HOOK = "X-Gitlab-Webhook-UUID"


class _Project(Model):
    id: Id | None = None
    path_with_namespace: Name
    web_url: str | None = None
    git_http_url: str | None = None
    git_ssh_url: str | None = None
    http_url: str | None = None
    ssh_url: str | None = None


class _ProjectWithId(_Project):
    id: Id


class _Push(Model):
    ref: FullRef
    before: Sha
    after: Sha
    checkout_sha: Sha | None = None
    user_id: Any = None
    user_name: str | None = None
    user_username: str | None = None
    user_email: str | None = None
    project_id: Id
    project: _Project
    commits: Commits | None = None
    total_commits_count: int | None = None
    push_options: Any = None

    @property
    def has_more(self) -> bool:
        """Whether more commits were pushed than it lists."""
        listed, total = len(self.commits or ()), self.total_commits_count
        return listed >= MOST_COMMITS if total is None else total > listed


class _MergeEvent(MergeEvent):
    project: _Project


class _PipelineEvent(Model):
    sha: Sha = Field(validation_alias=AliasPath("object_attributes", "sha"))
    source: str | None = Field(None, validation_alias=AliasPath("object_attributes", "source"))
    project: _ProjectWithId


class _JobRepository(Model):
    homepage: Name
    git_http_url: str | None = None
    git_ssh_url: str | None = None


class _JobEvent(Model):
    sha: Sha
    project_id: Id
    repository: _JobRepository


class _System(Model):
    event_name: str | None = None
    object_kind: str | None = None


class GitLab:
    """Webhooks of GitLab, with one of the live tokens or signed with a signing token."""

    name = "gitlab"
    private = re.compile(r"(?:(\d+)-)?([\w.-]+)@users\.noreply\.[\w.-]+", re.ASCII)

    def __init__(
        self, tokens: Sequence[str], signing_tokens: Sequence[str] = (), tolerance: float = 300.0
    ) -> None:
        """Take the live secrets, several during a rotation.

        Args:
            tokens: what GitLab sends in `X-Gitlab-Token`; unused beside signing tokens.
            signing_tokens: "whsec_…"; with one of them every webhook must be signed.
            tolerance: seconds that a signed webhook may be older or newer than our clock.

        Raises:
            ValueError: a secret is empty or malformed, or there is none.
        """
        self._tokens = tuple(map(as_bytes, live("GitLab token", tokens)))
        signing_tokens = live("GitLab signing token", signing_tokens)
        self._keys = tuple(map(webhook.key_of, signing_tokens))
        self._tolerance = tolerance
        if not self._tokens and not self._keys:
            raise ValueError("GitLab needs at least one token or signing token")

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        if not self._keys:
            self._check_token(headers)
        return self._envelope(headers, self._proof(headers, now))

    def _proof(self, headers: Mapping[str, str], now: float) -> tuple[str, ...]:
        """Return what is signed and its signatures; nothing without signing tokens."""
        if not self._keys:
            return ()
        return webhook.proof_of(headers, now, self._tolerance, since="GitLab 19.0")

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        return self._envelope(CIMultiDict(headers), ())

    def _envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        uuid = header(headers, "X-Gitlab-Event-UUID")
        id_ = header(headers, "webhook-id") or header(headers, "Idempotency-Key")
        # An older GitLab has no such id, and sends again as if it were new.
        hook = header(headers, HOOK) if id_ else None
        kept = {"x-gitlab-event-uuid": uuid, HOOK.lower(): hook}
        return Envelope(
            id=id_,
            event=required(headers, "X-Gitlab-Event"),
            proof=proof,
            headers={name: value for name, value in kept.items() if value},
            event_id=uuid,
        )

    def verify(self, envelope: Envelope, body: Body) -> None:
        """Check the signature over the raw bytes if signing tokens are set; raise BadSignature."""
        if not self._keys:
            return  # a token says nothing about the body; `open` has compared it
        webhook.verify(envelope.proof, body, self._keys)

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        means: Event
        if event == "System Hook":
            means = _of_system(load(body, "gitlab system hook"))
        elif event in _READERS:
            what, model, meaning = _READERS[event]
            means = meaning(check(model, load(body, what), what))
        else:
            why = "is not used, only pushes of branches and tags, merge requests and pipelines are"
            means = Ignored(f"event {event[:100]} {why}")
        return replace(means, hook=_hook(headers)) if isinstance(means, RefPushed) else means

    def _check_token(self, headers: Mapping[str, str]) -> None:
        token = headers.get("X-Gitlab-Token")
        if token is None:
            raise BadSignature("X-Gitlab-Token is missing: set the secret token on the webhook")
        if not same(as_bytes(token), self._tokens):
            raise UnknownSecret("X-Gitlab-Token is none of our tokens")


class GitLabHook(GitLab):
    """Webhooks of one hook, with its token, its signing token, or both.

    Args:
        secret: the tokens, separated by a space.
        signs: whether each must be signed; None if GitLab has not said that it can.
    """

    def __init__(self, secret: str, signs: bool | None) -> None:
        tokens, signing = tokens_in(secret)
        super().__init__(tokens, signing)
        self._must_sign = bool(signing) and (signs is True or not tokens)

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers; a signature that is there has to be right."""
        if self._tokens:
            self._check_token(headers)
        is_signed = self._must_sign or "webhook-signature" in headers
        return self._envelope(headers, self._proof(headers, now) if is_signed else ())

    def verify(self, envelope: Envelope, body: Body) -> None:
        if envelope.proof:
            super().verify(envelope, body)


def tokens_in(secret: str) -> tuple[list[str], list[str]]:
    """Return the tokens and the signing tokens of one hook's secret."""
    both = secret.split()
    signing = [token for token in both if token.startswith("whsec_")]
    return [token for token in both if token not in signing], signing


def _hook(headers: Mapping[str, str]) -> str:
    """Return which webhook sent a delivery: its own secret says so, if it has one.

    By GitLab's documentation the header does as well, but GitLab draws a new one for each request.
    """
    sent = headers.get(HOOK.lower(), "")
    return sent and headers.get(SIGNED_WITH, sent)


def _pushed(push: _Push, *, system: bool = False) -> RefPushed | Ignored:
    ref = branch_or_tag(push.ref)
    if isinstance(ref, Ignored):
        return ref
    created, login = not system and nothing(push.before), push.user_username or ""
    why = unlisted(ref, deleted=nothing(push.after), created=created)
    why = why or ("a system hook lists no files" if system else "")
    paths, note = (None, why) if why else _listed(push)
    return RefPushed(
        repository=_repository(push.project_id, push.project),
        ref=ref,
        before=push.before,
        after=push.after,
        commit=_commit(push, ref),
        created=nothing(push.before) and not nothing(push.after),
        deleted=nothing(push.after),
        forced=None,  # GitLab does not report it
        paths=paths,
        paths_note=note,
        options=tuple(_options(push.push_options))[:MOST_OPTIONS],
        pusher=push.user_username or push.user_name or "",
        authors=authors_of(
            GitLab.private,
            push.commits,
            Writer(login, id_of(push.user_id) if login else "", address(push.user_email)),
            cut=push.after if push.has_more else "",
        ),
    )


def _merge_changed(merge: _MergeEvent) -> PullRequestChanged | Ignored:
    if (why := merge.ignored()) is not None:
        return Ignored(why)
    repository = _repository(merge.object_attributes.target_project_id, merge.project)
    return PullRequestChanged(repository, merge.meaning(), merge.opened)


def _repository(number: int, project: _Project) -> Repository:
    return Repository(
        host="gitlab",
        id=str(number),
        name=project.path_with_namespace,
        urls=clone_urls(
            project.git_http_url,
            project.git_ssh_url,
            project.http_url,
            project.ssh_url,
            project.web_url,
        ),
        web_url=web_url(project.web_url),
    )


def _commit(push: _Push, ref: Ref) -> Commit | None:
    """Return the pushed commit; an annotated tag's `after` is the tag object."""
    if nothing(push.after):
        return None
    sha = push.checkout_sha or (push.after if ref.kind is RefKind.BRANCH else None)
    if sha is None:
        return None
    commits = push.commits or []
    listed = find(commits, sha) or (commits[-1] if commits else None)
    return listed.meaning(sha) if listed else Commit(sha)


def _listed(push: _Push) -> tuple[tuple[str, ...] | None, str]:
    """Return the changed files and "", or None and why they are unknown."""
    commits, total = push.commits or [], push.total_commits_count
    if not commits and push.before != push.after:
        return None, "GitLab listed no commits although the branch moved"
    if push.has_more and total is None:
        return None, f"GitLab lists no more than {MOST_COMMITS} commits"
    if push.has_more:
        return None, f"GitLab listed {len(commits)} of {total} commits"
    return files_of("GitLab", commits)


def _options(sent: Any, prefix: str = "") -> Iterator[str]:
    """Return push options as typed: `{"ci": {"skip": true}}` was `-o ci.skip`."""
    if isinstance(sent, list):
        yield from (option for option in sent if isinstance(option, str))
    elif isinstance(sent, dict):
        for key, value in sent.items():
            yield from _option(prefix + key, value)


def _option(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and "." not in name:
        yield from _options(value, name + ".")
    elif isinstance(value, dict):  # given several times: each value with its count
        yield from (f"{name}={given}" for given in value)
    elif isinstance(value, str):
        yield f"{name}={value}"
    else:
        yield name


# ── Pipelines and jobs: they say that a commit's checks have changed ──────────────────────────────

EXTERNAL = "external"
"""The source of a pipeline that holds the commit statuses of others, ours among them."""


def _pipeline_changed(event: _PipelineEvent) -> CheckReported | Ignored:
    """Return that a pipeline has changed, without its state, to which our own statuses count."""
    if event.source == EXTERNAL:
        return Ignored("an external pipeline has commit statuses, the bridge's own among them")
    return CheckReported(_repository(event.project.id, event.project), event.sha)


def _job_changed(event: _JobEvent) -> CheckReported:
    """Return that a job has changed; only its project's page tells the path."""
    about = event.repository
    try:
        path = urlsplit(about.homepage).path.strip("/")
    except ValueError:
        raise MalformedPayload("gitlab job: repository.homepage is no address") from None
    project = _Project(
        path_with_namespace=path,
        web_url=about.homepage,
        git_http_url=about.git_http_url,
        git_ssh_url=about.git_ssh_url,
    )
    return CheckReported(_repository(event.project_id, project), event.sha)


# ── Which webhook is read how ─────────────────────────────────────────────────────────────────────


def _of_system(data: Any) -> Event:
    """Return the meaning of a webhook of the whole server."""
    sent = check(_System, data, "gitlab system hook")
    kind = sent.event_name or sent.object_kind or "without a name"
    if kind in ("push", "tag_push"):
        return _pushed(check(_Push, data, "gitlab push"), system=True)
    if kind == "merge_request":
        return _merge_changed(check(_MergeEvent, data, "gitlab merge request"))
    why = "is not used, only push, tag_push and merge_request are"
    return Ignored(f"system hook {kind[:100]} {why}")


_READERS: Mapping[str, tuple[str, type[Model], Callable[[Any], Event]]] = {
    "Push Hook": ("gitlab push", _Push, _pushed),
    "Tag Push Hook": ("gitlab push", _Push, _pushed),
    "Merge Request Hook": ("gitlab merge request", _MergeEvent, _merge_changed),
    "Pipeline Hook": ("gitlab pipeline", _PipelineEvent, _pipeline_changed),
    "Job Hook": ("gitlab job", _JobEvent, _job_changed),
}
"""Each event's name for people, its form and its meaning."""
