"""Payloads as hosts sent them mean what a person wrote down of them.

What is expected follows from `index.json`, where a person wrote down the facts of each
payload, and from the raw JSON; our own parsers are what is tested.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bridge.core.apps import Source, SourceType
from bridge.core.decision import concerns
from bridge.core.events import CheckReported, Ignored, PullRequestChanged, RefPushed
from bridge.githosts import HOSTS
from tests.fakes.journey import app
from tests.worlds.rows import each_row

FOLDER = Path(__file__).parents[1] / "fixtures" / "payloads"
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

    @cached_property
    def raw(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((FOLDER / self.host / self.file).read_text())
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
    def is_tag(self) -> bool:
        return str(self.facts["ref"]).startswith("refs/tags/")

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
        body = (FOLDER / self.host / self.file).read_bytes()
        return HOSTS[self.host].reader().parse(self.event, headers, body)  # type: ignore[return-value]


ALL = [
    Sent(host, one["file"], one["headers"], one["facts"])
    for host in HEADER
    for one in json.loads((FOLDER / host / "index.json").read_text())
]
PUSHES = [sent for sent in ALL if sent.is_push]
OTHERS = [sent for sent in ALL if not sent.is_push]


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
    native = {
        "github": Source(SourceType.GITHUB, sent.repository.upper()),
        "gitlab": Source(SourceType.GITLAB, "renamed", str(sent.raw.get("project_id"))),
    }[sent.host]
    assert concerns(pushed, app(source=native))
    assert not concerns(
        pushed, app(source=replace(native, repository="a/b", repository_id="987654321"))
    )


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
    turns = [(False, False, False), (False, False, True), (False, True, False)]
    turns += [(True, False, True), (True, True, False)]

    sent = {(one.host, one.is_tag, one.facts["deleted"], one.is_new) for one in PUSHES}
    assert {(host, *turn) for host in HEADER for turn in turns} <= sent
