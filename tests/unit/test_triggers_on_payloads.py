"""Payloads as hosts sent them, against apps of each kind.

What is expected follows from `index.json`, where a person wrote down the facts of each
payload, and from the raw JSON; our own parsers are what is tested.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core.apps import App, Rules, Source, SourceType, Trigger
from bridge.core.decision import DEPLOYS, Decision, Reason, decide
from bridge.core.events import (
    CheckReported,
    Ignored,
    PullRequestChanged,
    RefPushed,
)
from bridge.core.refs import normalise_url
from bridge.githosts import HOSTS
from tests.fakes.journey import app
from tests.worlds.rows import each_row

FOLDER = Path(__file__).parents[1] / "fixtures" / "payloads"
ZERO = "0" * 40
HEADER = {"github": "X-GitHub-Event", "gitlab": "X-Gitlab-Event"}


@dataclass(frozen=True)
class Sent:
    """A payload, its headers, and what a person says of it."""

    host: str
    file: str
    headers: Mapping[str, str]
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.host}/{self.file.removesuffix('.json')}"

    @property
    def body(self) -> bytes:
        return (FOLDER / self.host / self.file).read_bytes()

    @property
    def raw(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def event(self) -> str:
        return self.headers[HEADER[self.host]]

    @property
    def is_push(self) -> bool:
        if self.event == "System Hook":
            return self.facts["event_name"] in ("push", "tag_push")
        return self.event in ("push", "Push Hook", "Tag Push Hook")

    @property
    def ref(self) -> str:
        return str(self.facts["ref"])

    @property
    def name(self) -> str:
        return self.ref.split("/", 2)[2]

    @property
    def is_tag(self) -> bool:
        return self.ref.startswith("refs/tags/")

    @property
    def is_new(self) -> bool:
        return bool(self.facts["created" if self.host == "github" else "new"])

    @property
    def repository(self) -> str:
        if self.host == "gitlab":
            return str(self.facts["project"])
        sent = self.raw["repository"]
        return str(sent.get("full_name") or f"{sent['owner']['name']}/{sent['name']}")

    @property
    def address(self) -> str:
        """Where one clones it from, as people write it."""
        if self.host == "gitlab":
            return str(self.raw["project"]["git_ssh_url"])
        sent = self.raw["repository"]
        return str(sent.get("ssh_url") or sent["url"])

    @property
    def files(self) -> list[str] | None:
        """What changed; None where the payload does not tell all of it, by the facts."""
        facts, commits = self.facts, self.raw.get("commits") or []
        listed = facts["commits"]
        cut_short = listed == 0 or listed != facts.get("total_commits_count", listed)
        if self.is_new or cut_short or facts.get("forced") or self.event == "System Hook":
            return None
        every = [[*one["added"], *one["removed"], *one["modified"]] for one in commits]
        if [] in every and self.host == "github":
            return None
        return sorted(set().union(*every))

    def parsed(self) -> RefPushed | PullRequestChanged | CheckReported | Ignored:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return HOSTS[self.host].reader().parse(self.event, headers, self.body)  # type: ignore[return-value]


def everything() -> list[Sent]:
    found = []
    for host in HEADER:
        entries = json.loads((FOLDER / host / "index.json").read_text())
        found += [Sent(host, one["file"], one["headers"], one["facts"]) for one in entries]
    return found


ALL = everything()
PUSHES = [sent for sent in ALL if sent.is_push]
OTHERS = [sent for sent in ALL if not sent.is_push]


# ── apps of each kind, and what must become of them ──────────────────────────


def native(sent: Sent, branch: str | None = None, repository: str | None = None) -> Source:
    branch = branch or ("main" if sent.is_tag else sent.name)
    if sent.host == "github":
        name = repository or sent.repository.upper()  # GitHub does not look at case
        return Source(SourceType.GITHUB, name, branch=branch)
    id_ = "987654321" if repository else str(sent.raw["project_id"])
    return Source(SourceType.GITLAB, "renamed/since", id_, branch=branch)


def custom_git(sent: Sent) -> Source:
    url = normalise_url(sent.address)
    return Source(SourceType.GIT, url=url, branch="main" if sent.is_tag else sent.name)


def waiting_for_push(sent: Sent, reason: Reason) -> Reason:
    if sent.is_tag:
        return Reason.TRIGGER_MISMATCH
    return Reason.REF_DELETED if sent.facts["deleted"] else reason


def waiting_for_tags(sent: Sent, reason: Reason) -> Reason:
    if not sent.is_tag:
        return Reason.TRIGGER_MISMATCH
    return Reason.REF_DELETED if sent.facts["deleted"] else reason


def paths_of(sent: Sent, wanted: Reason) -> Reason:
    return wanted if not sent.is_tag and sent.files is not None else Reason.PATHS_UNKNOWN


def v1(sent: Sent) -> Reason:
    inside = re.fullmatch(r"v1\.\d+\.\d+", sent.name)
    return Reason.TAG_PUSHED if inside else Reason.TAG_MISMATCH


def v_something(sent: Sent) -> Reason:
    return Reason.TAG_PUSHED if sent.name.startswith("v") else Reason.TAG_MISMATCH


def a_changed_file(sent: Sent) -> str:
    return (None if sent.is_tag else sent.files and sent.files[-1]) or "any/file"


TAGS = Trigger.TAG
KINDS: dict[str, tuple[Callable[[Sent], App], Callable[[Sent], Reason]]] = {
    "push on its branch": (
        lambda s: app(source=native(s)),
        lambda s: waiting_for_push(s, Reason.NO_WATCH_PATHS),
    ),
    "push on its branch, a changed file": (
        lambda s: app(source=native(s), watch_paths=(a_changed_file(s),)),
        lambda s: waiting_for_push(s, paths_of(s, Reason.PATH_HIT)),
    ),
    "push on its branch, no changed file": (
        lambda s: app(source=native(s), watch_paths=("nowhere/**",)),
        lambda s: waiting_for_push(s, paths_of(s, Reason.NO_PATH_HIT)),
    ),
    "push on another branch": (
        lambda s: app(source=native(s, branch="another")),
        lambda s: Reason.TRIGGER_MISMATCH if s.is_tag else Reason.BRANCH_MISMATCH,
    ),
    "push on a branch by glob": (
        lambda s: app(source=native(s, "another"), rules=Rules(branch="{feature*,ma*,test}")),
        lambda s: waiting_for_push(s, Reason.NO_WATCH_PATHS),
    ),
    "tag by the backend": (
        lambda s: app(source=native(s), trigger=TAGS),
        lambda s: waiting_for_tags(s, Reason.TAG_PUSHED),
    ),
    "tag by a rule": (
        lambda s: app(source=native(s), rules=Rules(TAGS)),
        lambda s: waiting_for_tags(s, Reason.TAG_PUSHED),
    ),
    "tag with a glob": (
        lambda s: app(source=native(s), rules=Rules(TAGS, tags="v*")),
        lambda s: waiting_for_tags(s, v_something(s)),
    ),
    "tag with a range": (
        lambda s: app(source=native(s), rules=Rules(TAGS, versions="^1")),
        lambda s: waiting_for_tags(s, v1(s)),
    ),
    "tag with watch paths": (
        lambda s: app(source=native(s), trigger=TAGS, watch_paths=("nowhere/**",)),
        lambda s: waiting_for_tags(s, Reason.TAG_PUSHED),
    ),
    "custom git": (
        lambda s: app(source=custom_git(s)),
        lambda s: waiting_for_push(s, Reason.NO_WATCH_PATHS),
    ),
    "custom git with tags": (
        lambda s: app(source=custom_git(s), rules=Rules(TAGS, versions="^1")),
        lambda s: waiting_for_tags(s, v1(s)),
    ),
    "another repository": (
        lambda s: app(source=native(s, repository="somebody/else")),
        lambda _: Reason.REPOSITORY_MISMATCH,
    ),
    "custom git elsewhere": (
        lambda s: app(source=Source(SourceType.GIT, url=normalise_url(s.address + "2"))),
        lambda _: Reason.REPOSITORY_MISMATCH,
    ),
    "docker": (
        lambda _: app(source=Source(SourceType.DOCKER, image="nginx")),
        lambda _: Reason.REPOSITORY_MISMATCH,
    ),
    "no source": (lambda _: app(source=None), lambda _: Reason.REPOSITORY_MISMATCH),
}  # fmt: skip


@each_row("sent", PUSHES, ids=str)
def test_a_recorded_push_deploys_what_it_concerns(sent: Sent) -> None:
    pushed = sent.parsed()
    assert isinstance(pushed, RefPushed)
    apps = {kind: make(sent) for kind, (make, _) in KINDS.items()}

    decisions = {kind: decide(pushed, one) for kind, one in apps.items()}

    reasons = {kind: expected(sent) for kind, (_, expected) in KINDS.items()}
    assert decisions == {
        kind: Decision(one.id, one.label, reasons[kind], decisions[kind].evidence)
        for kind, one in apps.items()
    }
    deploys = {kind for kind, decision in decisions.items() if decision.deploy}
    assert deploys == {kind for kind, reason in reasons.items() if reason in DEPLOYS}
    assert [kind for kind, decision in decisions.items() if not decision.evidence] == []


@each_row("sent", PUSHES, ids=str)
def test_a_recorded_push_means_what_its_facts_say(sent: Sent) -> None:
    pushed, facts = sent.parsed(), sent.facts
    assert isinstance(pushed, RefPushed)

    assert str(pushed.ref) == facts["ref"]
    assert pushed.created is sent.is_new
    assert (pushed.deleted, bool(pushed.forced)) == (facts["deleted"], facts.get("forced", False))
    assert pushed.repository.name == sent.repository
    assert (pushed.commit is None) is facts["deleted"]
    if sent.host == "github":
        assert (pushed.commit and pushed.commit.sha) == facts["head_commit"]
    elif pushed.commit is not None:
        assert (pushed.commit.sha == pushed.after) is facts["checkout_sha_is_after"]
    known = None if sent.is_tag or facts["deleted"] else sent.files
    assert pushed.paths == (None if known is None else tuple(known))
    assert bool(pushed.paths_note) is (known is None)


@each_row("sent", OTHERS, ids=str)
def test_what_is_no_push_is_ignored_with_its_reason(sent: Sent) -> None:
    meaning = sent.parsed()

    if isinstance(meaning, PullRequestChanged):  # deploys nothing either, see test_recorded.py
        action = sent.raw.get("action", sent.raw.get("object_attributes", {}).get("action"))
        assert meaning.opened is (action in ("open", "opened", "reopen", "reopened"))
        assert meaning.pull.open is (action not in ("close", "closed", "merge"))
        return
    if isinstance(meaning, CheckReported):  # nor does that
        assert sent.event in ("check_run", "check_suite", "status", "Pipeline Hook", "Job Hook")
        return
    assert isinstance(meaning, Ignored)
    what = sent.facts.get("event_name") or sent.facts.get("object_kind")
    named = str(what if sent.event == "System Hook" else sent.event).removesuffix(" Hook").lower()
    assert named.replace("_", " ") in meaning.reason.lower().replace("_", " ")


def test_both_hosts_and_every_turn_are_among_the_payloads() -> None:
    assert len(ALL) >= 90
    turns = {(sent.host, sent.is_tag, sent.facts["deleted"], sent.is_new) for sent in PUSHES}
    for host in HEADER:
        assert {
            *((host, False, False, False), (host, False, False, True), (host, False, True, False)),
            *((host, True, False, True), (host, True, True, False)),
        } <= turns
