"""Whoever asks, whatever the rules: nothing reaches or names an app that a person may not see.

Through the real door with signed requests; who may what is worked out a second time in here, from
the rules as the README tells them.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.chats.slack.blocks import actions, button
from bridge.core.access import Access, Grant, Right
from bridge.core.events import Action, Asked, parse_command
from tests.fakes.slack.hands import Answered
from tests.fakes.slack.methods import BOT, TEAM
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.slack_door import Door, open_door, shop

APPS = (shop("web", "store"), shop("api", "store"), shop("vault", "secret"))
"""Help names none of them as an example."""

SEEN_AS = {one.id: one.label for one in APPS}
PEOPLE: dict[str, dict[str, Any]] = {
    "U0ADA": {"email": "ada@example.com"},
    "U0BOB": {"email": "bob@elsewhere.example"},
    "U0GUEST": {"email": "gus@example.com", "is_restricted": True},
    "U0FAR": {"email": "far@example.com", "team_id": "T0OTHER"},
}
CHANNELS = ("C0SHOP", "C0OPS")
GROUP = "S0OPS"
MEMBERS = frozenset({"U0BOB", "U0GUEST"})
NEEDS = {
    Action.DEPLOY: Right.DEPLOY, Action.REDEPLOY: Right.DEPLOY, Action.CANCEL: Right.CANCEL,
    Action.CONFIGURE: Right.CONFIGURE,
}  # fmt: skip
COVERS = {
    "*": set(SEEN_AS),
    "store/*": {"app-web", "app-api"},
    "secret/vault": {"app-vault"},
    "store/a*": {"app-api"},
}

grants = st.lists(
    st.builds(
        lambda who, may, apps, channels: Grant(tuple(who), frozenset(may), (apps,), channels),
        st.lists(
            st.sampled_from([*PEOPLE, "everyone", "@example.com", GROUP, "@xample.com"]),
            min_size=1, max_size=2,
        ),
        st.sets(st.sampled_from(Right), min_size=1, max_size=2),
        st.sampled_from(sorted(COVERS)),
        st.sampled_from([(), ("C0OPS",)]),
    ),
    max_size=4,
)  # fmt: skip
VERBS = ["deploy", "redeploy", "cancel", "status", "history", "why", "provider", "apps", "depoly"]
NAMES = st.sampled_from(
    [*SEEN_AS, *SEEN_AS.values(), "vaul", "valut", "SECRET/VAULT", "secret", "store", "w", "web@x"]
)
TYPED = st.one_of(
    st.builds("{} {}".format, st.sampled_from(VERBS), NAMES),
    st.sampled_from(["apps", "status", "whoami", "help", "", *VERBS]),
    st.text(max_size=40),
)


@dataclass
class Changing:
    """Access rules that a test changes while the door is open."""

    now: Access

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as running:
        for id_, about in PEOPLE.items():
            running.person(id_, id_.removeprefix("U0").title(), **about)
        running.groups[GROUP] = sorted(MEMBERS)
        running.scopes |= {"users:read.email", "usergroups:read"}
        running.channel("C0OPS", "ops")
        yield running


RULES = Changing(Access())
LATER = itertools.count(1e9, 100.0)
"""Clicks that are no double ones."""


@pytest.fixture
async def door(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(slack, tmp_path, RULES, apps=APPS) as opened:  # type: ignore[arg-type]
        yield opened


def rights(rules: list[Grant], person: str, channel: str, app_id: str) -> set[Right]:
    """What somebody may, by the README's words alone."""
    found: set[Right] = set()
    member = person in ("U0ADA", "U0BOB")
    domain = "@" + str(PEOPLE[person]["email"]).split("@")[1]
    for one in rules:
        names = {person} | ({"everyone", domain} if member else set())
        names |= {GROUP} if member and person in MEMBERS else set()
        named = bool(names & set(one.who))
        if (
            named
            and app_id in COVERS[one.apps[0]]
            and (not one.channels or channel in one.channels)
        ):
            found |= one.may | {Right.VIEW}
    return found


def names_nothing_unseen(said: str, typed: str, unseen: set[str]) -> None:
    """What they have typed themselves may be repeated."""
    for app_id in unseen:
        for name in (app_id, SEEN_AS[app_id]):
            assert name in typed or name not in said, (name, said)


QUICK = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Tried:
    """What one try has led to: what Slack was told, and what was kept."""

    said: str
    kept: list[Asked]


async def tried(door: Door, attempt: Callable[[], Awaitable[Answered]]) -> Tried:
    """Try something, and see it through to its answer."""
    calls = len(door.slack.calls)
    before = {one.id for one in await door.inbox.newest(100)}
    answered = await attempt()
    assert answered.status == 200
    told = [*answered.body.values(), *door.slack.calls[calls:]]
    kept = []
    for one in await door.inbox.newest(100):
        whole = await door.inbox.find(one.host, one.id)
        if one.id not in before and whole is not None and whole.body is not None:
            kept.append(parse_command(whole.event, whole.body))
    return Tried(str(told), kept)


@QUICK
@given(grants, st.sampled_from(sorted(PEOPLE)), st.sampled_from(CHANNELS), TYPED)
async def test_nothing_typed_reaches_or_names_an_app_against_the_rules(
    door: Door, rules: list[Grant], person: str, channel: str, typed: str
) -> None:
    RULES.now = Access(rules)
    may = {id_: rights(rules, person, channel, id_) for id_ in SEEN_AS}

    found = await tried(door, lambda: door.hands.type(typed, user=person, channel=channel))

    names_nothing_unseen(found.said, typed, {id_ for id_, those in may.items() if not those})
    for asked in found.kept:
        assert NEEDS[asked.action] in may[asked.target]
    for id_, those in may.items():  # the rules let through what they grant
        if typed in (f"deploy {id_}", f"deploy {SEEN_AS[id_]}"):
            assert [one.target for one in found.kept] == ([id_] if Right.DEPLOY in those else [])


@QUICK
@given(
    grants,
    st.sampled_from(sorted(PEOPLE)),
    st.sampled_from(CHANNELS),
    st.sampled_from(["app.deploy", "app.redeploy", "app.provider"]),
    st.sampled_from([*SEEN_AS, "", "app-none"]),
)
@example(
    [Grant(("U0FAR",), frozenset({Right.DEPLOY}), ("*",))],
    "U0FAR",
    "C0SHOP",
    "app.deploy",
    "app-web",
)
async def test_no_forged_click_reaches_or_names_an_app_against_the_rules(
    door: Door, rules: list[Grant], person: str, channel: str, action: str, value: str
) -> None:
    RULES.now = Access(rules)
    may = {id_: rights(rules, person, channel, id_) for id_ in SEEN_AS}
    forged = button("Go", action, value) | {"type": "button"}
    message = {"text": "made up", "user": BOT, "team": TEAM, "blocks": [actions(forged)]}

    found = await tried(
        door,
        lambda: door.hands.click(message, action, user=person, channel=channel, at=next(LATER)),
    )

    names_nothing_unseen(found.said, "", {id_ for id_, those in may.items() if not those})
    for asked in found.kept:
        assert NEEDS[asked.action] in may[asked.target]
    if action == "app.deploy" and value in may:
        assert bool(found.kept) == (Right.DEPLOY in may[value])
