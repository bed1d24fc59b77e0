"""GitHub and GitHub Enterprise Server: webhooks of repositories, organisations and Apps.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasPath, Field

from bridge.core.checks import Check
from bridge.core.errors import BadSignature, MalformedPayload
from bridge.core.events import CheckReported, Ignored, Repository
from bridge.core.people import Writer
from bridge.githosts.base.commits import NOBODY, Account, check_of, state_of
from bridge.githosts.base.payloads import (
    FAILED,
    CommitStatus,
    Pull,
    PullEvent,
    Push,
    Reader,
    Sent,
    SignedWebhooks,
    StatusEvent,
)
from bridge.githosts.base.webhook import (
    Id,
    Model,
    Name,
    Sha,
    address,
    clone_urls,
    files_of,
    header,
    id_of,
    required,
    web_url,
)
from bridge.ports.githosts import Envelope

MOST_COMMITS = 2048
MOST_FILES = 3000
LONGEST_MOMENT = 40
HOOK = "X-GitHub-Hook-ID"

_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}").fullmatch
_BOT = "[bot]"
"""The end of an App's login; no person's has brackets."""


class _Repository(Sent):
    """A repository; payloads of 2012 have neither id nor full name."""

    id: Id | None = None
    name: Name
    full_name: Name | None = None
    url: str | None = None
    pushed_at: Any = None

    def meaning(self, host: str) -> Repository:
        name, owner = self.full_name, self.owner or NOBODY
        if not name:
            if not owner.called:
                raise MalformedPayload("github push: repository.full_name is missing")
            name = f"{owner.called}/{self.name}"
        page = self.html_url or self.url
        return Repository(
            host=host,
            # a name contains a slash, so it can't be mistaken for an id
            id=name if self.id is None else str(self.id),
            name=name,
            urls=clone_urls(self.clone_url, self.ssh_url, self.git_url, page),
            web_url=web_url(self.html_url, self.url),
            owner_id=id_of(owner.id),
        )


# ── Checks of commits: runs of apps, and statuses ─────────────────────────────────────────────────


class _App(Model):
    id: Id | None = None
    name: Name | None = None


class CheckRun(Model):
    """A check run, as events and the API have it."""

    id: Id
    name: Name
    status: str | None = None
    conclusion: str | None = None
    app: _App | None = None
    html_url: str | None = None
    details_url: str | None = None

    def meaning(self, *, again: bool = False) -> Check:
        """Return the check; `again`: it was asked to run again, so its conclusion is an old one."""
        word = None if again or self.status != "completed" else self.conclusion
        state = state_of(word, passed=_PASSED, failed=_FAILED)
        app = self.app or _App()
        urls = self.html_url, self.details_url
        return check_of(self.name, state, app.name, *urls, app_id=app.id)


_PASSED = frozenset({"success", "neutral", "skipped"})
_FAILED = FAILED | {"cancelled", "timed_out", "action_required", "startup_failure", "stale"}


class SetStatus(CommitStatus):
    """A commit status and who has set it."""

    creator: Account | None = None

    @property
    def slug(self) -> str | None:
        """The slug of the App that has set it; None for a person, or if it is not told."""
        login = (self.creator or NOBODY).called
        return login.removesuffix(_BOT) if login.endswith(_BOT) else None


class _ReportedRun(CheckRun):
    head_sha: Sha


class _RunEvent(Model):
    action: str
    check_run: _ReportedRun
    repository: _Repository


class _SuiteEvent(Model):
    action: str
    head_sha: Sha = Field(validation_alias=AliasPath("check_suite", "head_sha"))
    repository: _Repository


# ── The webhooks ──────────────────────────────────────────────────────────────────────────────────


class GitHub(SignedWebhooks):
    """Webhooks of GitHub."""

    name = "github"
    title = "GitHub"
    signature = "X-Hub-Signature-256"
    hook = HOOK.lower()
    uses = frozenset(
        {"synchronize", "labeled", "unlabeled", "converted_to_draft"}
        | {"edited", "ready_for_review", "closed"}
    )
    ignored: ClassVar[Mapping[str, str]] = {
        "ping": "event ping: GitHub says hello, the webhook works",
        "create": "event create: GitHub sends push for the same ref, which deploys",
        "delete": "event delete: GitHub sends push for the same ref, which says so",
    }
    kinds = "pushes, pull requests, checks and statuses"
    form = "github push"
    private = re.compile(r"(?:(\d+)\+)?([\w-]+(?:\[bot\])?)@users\.noreply\.[\w.-]+", re.ASCII)

    def readers(self) -> Mapping[str, Reader]:
        return {
            "push": (Push[_Repository], self.pushed),
            "pull_request": (PullEvent[Pull, _Repository], self.pull_changed),
            "check_run": (_RunEvent, self._run_changed),
            "check_suite": (_SuiteEvent, self._suite_changed),
            "status": (StatusEvent[_Repository], self.status_set),
        }

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:  # noqa: ARG002 - GitHub sends no time
        signature = headers.get(self.signature)
        if signature is None:
            raise BadSignature("X-Hub-Signature-256 is missing: set a secret on GitHub's webhook")
        if not _SIGNATURE(signature):
            raise BadSignature("X-Hub-Signature-256 must be sha256= and 64 hex digits")
        return self.envelope(headers, (signature[7:],))

    def envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        kept = {name.lower(): header(headers, name) for name in ("Content-Type", HOOK)}
        return Envelope(
            id=required(headers, "X-GitHub-Delivery"),
            event=required(headers, "X-GitHub-Event"),
            proof=proof,
            headers={name: value for name, value in kept.items() if value},
        )

    # ── events ──────────────────────────────────────────────────────────────

    def forced(self, push: Push[_Repository]) -> bool:
        return push.forced

    def moment(self, push: Push[_Repository]) -> str:
        sent = push.repository.pushed_at  # seconds since 1970; payloads of 2012 have a date
        return str(sent)[:LONGEST_MOMENT] if isinstance(sent, int | str) else ""

    def pushers(self, push: Push[_Repository]) -> Iterator[Writer]:
        if push.pusher:
            yield Writer(push.pusher.called, "", address(push.pusher.email))
        if push.sender:
            yield Writer(push.sender.called, id_of(push.sender.id))

    def files(self, push: Push[_Repository]) -> tuple[tuple[str, ...] | None, str]:
        commits = push.commits
        if push.forced:
            return None, "a forced push does not list the files that it took back"
        if commits is None or (not commits and push.before != push.after):
            return None, "GitHub listed no commits although the branch moved"
        if len(commits) >= MOST_COMMITS:
            return None, f"GitHub lists no more than {MOST_COMMITS} commits"
        # "for extremely large commits … this may be empty even if files were added"
        return files_of(self.title, commits, most=MOST_FILES)

    def _run_changed(self, event: _RunEvent) -> CheckReported:
        run = event.check_run.meaning(again=event.action == "rerequested")
        return CheckReported(event.repository.meaning(self.name), event.check_run.head_sha, run)

    def _suite_changed(self, event: _SuiteEvent) -> CheckReported | Ignored:
        if event.action not in ("completed", "requested", "rerequested"):
            return Ignored(f"check_suite {event.action[:100]} is not used, its check runs are")
        return CheckReported(event.repository.meaning(self.name), event.head_sha)
