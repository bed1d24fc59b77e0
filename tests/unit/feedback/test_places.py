"""The places of a push on its Git host: which there are, and that each is written once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Any

import pytest

from bridge.core.decision import Decision, Reason
from bridge.core.errors import NotFound, Refused, TooEarly, Unanswered, Unreachable
from bridge.core.events import Action, Asked, PullRequestChanged, RefKind, RefPushed, Repository
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.core.pulls import PullRequest
from bridge.githosts.feedback.comment import marker
from bridge.githosts.feedback.publishers import WriteTurns
from bridge.githosts.feedback.subscriptions import LOOKS_AGAIN, Plans, Use, concerns, shows_of
from bridge.ports.feedback import Occasion, Snapshot
from bridge.ports.githosts import Comment, CommitState
from bridge.ports.outcomes import Explained, Outcome, Subscription
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import app, deployment, push
from tests.worlds.rows import each_row

SHA, ID = "b" * 40, "0000000000000007.app-web"
ALL = frozenset(Use)


class Places:
    """The places of one host, as the journal would hold them."""

    def __init__(self, host: str = "github") -> None:
        self.api = FakeHostApi(host)
        self.rate_limiter: list[str] = []
        self.cursors: dict[str, dict[str, Any]] = {}
        clock = partial(next, count(1.0))  # whole seconds lie between two publications
        self.publishers = shows_of(
            self.api, WriteTurns(self._turn, self._turn, self._turn, clock), "0123"
        )

    async def _turn(self, lane: str) -> None:
        self.rate_limiter.append(lane)

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot = Snapshot(),  # noqa: B008
    ) -> list[Subscription]:
        async def save_cursor(cursor: Mapping[str, Any]) -> None:
            self.cursors[subscription.id] = dict(cursor)

        cursor = self.cursors.get(subscription.id, {})
        return [
            *await self.publishers[subscription.kind].publish(
                subscription, snapshot, cursor, save_cursor
            )
        ]


def snapshot(state: State = State.RUNNING, seq: int = 1, **others: Any) -> Snapshot:
    decision = Decision("app-web", "shop/web", Reason.PATH_HIT, "-")
    return Snapshot(
        explained=(Explained(seq, 1.0, decision, "d", "refs/heads/main", SHA),),
        deployments=(deployment(seq, state=state, commit=SHA, **others),),
        apps={"app-web": app(page="https://dokploy.example.com/p")},
    )


def occasion(event: Any = None, *decisions: Decision, seq: int = 7) -> Occasion:
    event = event or push()
    deploys = [deployment(seq, one.app_id) for one in decisions if one.deploy]
    apps = {one.app_id: app(one.app_id) for one in decisions}
    return Occasion(event, None, Outcome(seq, "d", decisions, tuple(deploys)), apps)


HIT = Decision("app-web", "shop/web", Reason.PATH_HIT, "-")
SKIP = Decision("app-api", "shop/api", Reason.NO_PATH_HIT, "-")
ELSEWHERE = Decision("app-ios", "shop/ios", Reason.BRANCH_MISMATCH, "-")


# ── which places ─────────────────────────────────────────────────────────────


def test_a_push_has_its_pull_requests_a_status_of_each_app_and_deployments() -> None:
    subscriptions = Plans("github", ALL, skipped=True)(occasion(None, HIT, SKIP, ELSEWHERE))

    assert [(one.id, one.kind, one.follows) for one in subscriptions] == [
        ("github.push 7", "github.push", ("delivery 7",)),
        (f"github.status 4711 {SHA} app-web", "github.status", (f"deployment {ID}",)),
        (f"github.status 4711 {SHA} app-api", "github.status", ("delivery 7",)),
        (f"github.deployment {ID}", "github.deployment", (f"deployment {ID}",)),
    ]  # fmt: skip
    assert {one.lane for one in subscriptions} == {"github"}
    assert [one.rank for one in subscriptions] == [0, 2, 3, 2]
    assert subscriptions[3].place == {
        "repository": "my-org/mono", "repository_id": "4711", "commit": SHA,
        "ref": "refs/heads/main", "environment": "production/shop/web",
    }  # fmt: skip


OPENED = PullRequestChanged(push().repository, PullRequest(12, "main", SHA, open=True), opened=True)


def test_a_late_pull_request_shows_the_pushes_that_an_app_waited_for() -> None:
    (comment,) = Plans("github", ALL).late(OPENED, {3: [ELSEWHERE], 5: [SKIP], 7: [HIT]})

    assert (comment.id, comment.kind) == ("github.comment 4711 12", "github.comment")
    assert (comment.lane, comment.follows) == ("github", ("delivery 5", "delivery 7"))
    assert comment.place["repository"] == "my-org/mono"
    assert comment.place["number"] == 12
    for nothing_to_say in ({}, {3: [ELSEWHERE]}):
        assert Plans("github", ALL).late(OPENED, nothing_to_say) == []
    for others in (Plans("gitlab", ALL), Plans("github", ALL - {Use.COMMENT})):
        assert others.late(OPENED, {7: [HIT]}) == []


@each_row(
    ("event", "decisions"),
    [
        (push(), [ELSEWHERE]),
        (push(), [replace(HIT, reason=Reason.TRIGGER_MISMATCH), ELSEWHERE]),
        (push(), []),
        (push(deleted=True, commit=None), [replace(HIT, reason=Reason.REF_DELETED)]),
        (push(repository=Repository("gitlab", "1", "a/b")), [HIT]),
        (Asked(Action.DEPLOY, "app-web", Actor("cli", "ada")), [replace(HIT, reason=Reason.ASKED)]),
    ],
)
def test_nothing_is_shown_where_no_app_waits_for_what_was_pushed(
    event: Any, decisions: list[Decision]
) -> None:
    assert Plans("github", ALL)(occasion(event, *decisions)) == []


def test_a_preview_that_somebody_deploys_again_is_followed_by_its_pull_request_s_comment() -> None:
    asked = Asked(Action.REDEPLOY, "app-web", Actor("slack", "Ada"))
    again = occasion(asked, replace(HIT, reason=Reason.ASKED), seq=9)
    ours = app("app-web", marker="bridge:github:4711#12:app-web")

    (comment,) = Plans("github", ALL)(replace(again, apps={"app-web": ours}))

    (known,) = Plans("github", ALL).late(OPENED, {7: [HIT]})
    assert (comment.id, comment.kind) == (known.id, known.kind)
    assert comment.follows == ("delivery 9",)
    assert Plans("gitlab", ALL)(replace(again, apps={"app-web": ours})) == []


def test_each_owner_of_an_app_s_installation_has_a_lane_of_its_own() -> None:
    theirs = push(repository=Repository("github", "1", "Their-Org/x"))

    wanted = Plans("github", ALL, key=attrgetter("id"), apart=True)(occasion(theirs, HIT))

    assert {one.lane for one in wanted} == {"github their-org"}
    assert {one.place["repository"] for one in wanted} == {"1"}  # as this host finds it


# ── pull requests ────────────────────────────────────────────────────────────

OPEN = PullRequest(5, "main", SHA, open=True)
MERGED = PullRequest(4, "feature", "c" * 40, open=False, merge_sha=SHA)


@each_row(
    ("one", "concerned"),
    [
        (OPEN, True),
        (replace(OPEN, head_sha="0" * 40), True),
        (replace(OPEN, head="other"), False),
        (replace(OPEN, own=False), False),
        (MERGED, True),
        (replace(MERGED, merge_sha=None), False),
        (replace(MERGED, merge_sha="d" * 40), False),
        (replace(OPEN, open=False), False),
    ],
)
def test_a_push_is_a_pull_request_s_by_its_head_or_its_merge(
    one: PullRequest, concerned: bool
) -> None:
    assert concerns(one, "main", SHA) is concerned


def pushed(pushed: RefPushed | None = None, seq: int = 7) -> Subscription:
    return Plans("github", ALL)(occasion(pushed, HIT, seq=seq))[0]


async def test_pull_requests_that_the_host_knows_late_are_found_once_for_all() -> None:
    places = Places()
    with pytest.raises(TooEarly):
        await places.publish(pushed())
    places.api.pulls[SHA] = [OPEN, MERGED, replace(OPEN, number=9, head="other")]

    comments = await places.publish(pushed())

    assert [(one.id, one.kind, one.follows, one.place["number"]) for one in comments] == [
        ("github.comment 4711 5", "github.comment", ("delivery 7",), 5),
        ("github.comment 4711 4", "github.comment", ("delivery 7", "merge 7"), 4),
    ]
    assert await places.publish(pushed()) == comments
    assert places.api.count("pull_requests") == 2


async def test_a_tag_has_no_branch_that_could_be_a_head() -> None:
    places = Places()
    places.api.pulls[SHA] = [OPEN, MERGED]

    found = await places.publish(pushed(push("main", kind=RefKind.TAG)))

    assert [one.place["number"] for one in found] == [4]


@pytest.mark.parametrize("knows", [True, False])
async def test_a_host_that_lags_is_looked_at_again_and_then_it_is_a_direct_push(
    knows: bool,
) -> None:
    places = Places()
    pauses = []
    for _ in LOOKS_AGAIN:
        if not knows:
            places.api.next("pull_requests", NotFound("no commit found"))
        with pytest.raises(TooEarly) as caught:
            await places.publish(pushed())
        pauses.append(caught.value.retry_after)

    assert await places.publish(pushed()) == []
    assert tuple(pauses) == LOOKS_AGAIN


# ── the comment ──────────────────────────────────────────────────────────────

COMMENT = Subscription(
    "github.comment 4711 5", "github.comment", "github", ("delivery 7",),
    {"repository": "my-org/mono", "number": 5},
)  # fmt: skip


async def test_one_comment_goes_through_the_states() -> None:
    places = Places()
    for state in (State.WAITING, State.ASKED, State.RUNNING, State.DONE, State.DONE):
        await places.publish(COMMENT, snapshot(state))

    (body,) = places.api.ours(5)
    assert "✅ deployed" in body
    assert places.api.count("comment") == 1
    assert places.api.count("edit_comment") == 3  # what it shows already sends nothing
    assert places.rate_limiter == ["github"] * 4


async def test_what_a_dying_process_was_posting_is_waited_for() -> None:
    places = Places()
    places.api.next("comment", Unanswered("github", "no complete answer in time"))
    with pytest.raises(Unanswered):
        await places.publish(COMMENT, snapshot(State.WAITING))
    with pytest.raises(TooEarly) as caught:
        await places.publish(COMMENT, snapshot(State.RUNNING))
    assert caught.value.retry_after == 5.0
    late = Comment("77", f"{marker('0123')}\n…", ours=True)
    places.api.written[5].append(late)  # and there it is

    await places.publish(COMMENT, snapshot(State.DONE))

    (body,) = places.api.ours(5)
    assert "✅ deployed" in body


@pytest.mark.parametrize(
    ("error", "tries"),
    [(Unanswered("github", "-"), 3), (Unreachable("github", "-"), 2), (Refused("github", "-"), 2)],
)
async def test_what_was_never_posted_is_posted_once_that_is_sure(error: Any, tries: int) -> None:
    places = Places()
    places.api.next("comment", error)

    for n in range(1, tries):
        with pytest.raises(type(error) if n == 1 else TooEarly):
            await places.publish(COMMENT, snapshot())
    await places.publish(COMMENT, snapshot())

    assert len(places.api.ours(5)) == 1


@pytest.mark.parametrize("found_by", ["nothing kept", "announced"])
async def test_a_death_between_posting_and_remembering_leaves_one(found_by: str) -> None:
    places = Places()
    places.api.written[5] += [Comment(str(n), f"comment {n}", ours=False) for n in range(250)]
    places.api.next("comment", Unanswered("github", "no complete answer in time"), arrives=True)
    with pytest.raises(Unanswered):
        await places.publish(COMMENT, snapshot(State.WAITING))
    if found_by == "nothing kept":
        places.cursors.clear()

    await places.publish(COMMENT, snapshot(State.DONE))

    (body,) = places.api.ours(5)
    assert "✅ deployed" in body


async def test_a_comment_of_another_bridge_or_account_is_left_alone() -> None:
    places = Places()
    theirs = [
        Comment("1", f"{marker('4567')}\nanother bridge", ours=True),
        Comment("2", f"{marker('0123')}\nsomebody who copied it", ours=False),
    ]
    places.api.written[5] += theirs

    await places.publish(COMMENT, snapshot())

    assert places.api.written[5][:2] == theirs
    assert len(places.api.written[5]) == 3


async def test_a_deleted_comment_comes_back_once() -> None:
    places = Places()
    await places.publish(COMMENT, snapshot(State.WAITING))
    places.api.written[5].clear()
    await places.publish(COMMENT, snapshot(State.RUNNING))
    assert len(places.api.ours(5)) == 1
    await places.publish(COMMENT, snapshot(State.DONE))
    assert len(places.api.ours(5)) == 1

    places.api.written[5].clear()
    await places.publish(COMMENT, snapshot(State.FAILED, seq=8))
    await places.publish(COMMENT, snapshot(State.RUNNING, seq=9))

    assert places.api.ours(5) == []
    assert places.api.count("comment") == 2


async def test_a_pull_request_that_is_not_for_us_loses_nothing_that_is_remembered() -> None:
    places = Places()
    await places.publish(COMMENT, snapshot(State.WAITING))
    kept = dict(places.cursors[COMMENT.id])
    for call in ("edit_comment", "comments"):  # as when the credential's rights are taken away
        places.api.next(call, NotFound("github has no repos/my-org/mono"))

    with pytest.raises(NotFound):
        await places.publish(COMMENT, snapshot(State.RUNNING))

    assert places.cursors[COMMENT.id] == kept
    await places.publish(COMMENT, snapshot(State.RUNNING))
    assert len(places.api.ours(5)) == 1


# ── statuses ─────────────────────────────────────────────────────────────────


def status(decision: Decision = HIT) -> Subscription:
    return Plans("github", frozenset({Use.STATUS}), skipped=True)(occasion(None, decision))[0]


async def test_a_status_goes_through_the_states_and_repeats_none() -> None:
    places = Places()
    for state in (State.WAITING, State.WAITING, State.RUNNING, State.RUNNING, State.DONE):
        await places.publish(status(), snapshot(state))

    assert [call[4] for call in places.api.calls] == ["pending", "running", "success"]
    assert places.api.statuses == {
        (SHA, "dokploy/shop/web"): (
            CommitState.SUCCESS, "deployed; the backend does not say which commit",
        ),
    }  # fmt: skip


async def test_a_skipped_app_s_status_says_why_and_a_second_hook_s_duplicate_nothing() -> None:
    places = Places()
    skipped = Snapshot(
        explained=(Explained(7, 1.0, replace(SKIP, evidence="3 files changed"), "d"),)
    )

    await places.publish(status(SKIP), skipped)

    assert places.api.statuses[SHA, "dokploy/shop/api"] == (
        CommitState.SUCCESS, "skipped: no watched path changed (3 files changed)",
    )  # fmt: skip

    twice = Decision("app-web", "shop/web", Reason.DUPLICATE_PUSH, "-")
    await places.publish(status(), Snapshot(explained=(Explained(8, 1.0, twice, "d"),)))
    assert len(places.api.calls) == 1


@pytest.mark.parametrize(
    ("subscription", "call"),
    [
        (status(), "set_status"),
        (Plans("github", ALL)(occasion(None, HIT))[-1], "create_deployment"),
    ],
)
async def test_a_commit_that_the_api_does_not_know_yet_is_tried_again(
    subscription: Subscription, call: str
) -> None:
    places = Places()
    places.api.next(call, NotFound("no commit found"))
    with pytest.raises(TooEarly):
        await places.publish(subscription, snapshot())
    await places.publish(subscription, snapshot())
    assert places.api.count(call) == 2

    places = Places()
    for _ in range(3):
        places.api.next(call, NotFound("no commit found"))
    for error in (TooEarly, TooEarly, NotFound):
        with pytest.raises(error):
            await places.publish(subscription, snapshot())


async def test_what_a_host_refuses_is_not_shown_as_if_it_had_been() -> None:
    places = Places()
    places.api.next("set_status", Refused("github", "Resource not accessible", status=403))

    with pytest.raises(Refused):
        await places.publish(status(), snapshot())

    assert places.cursors == {}


# ── deployment objects ───────────────────────────────────────────────────────


def object_of(seq: int = 1) -> Subscription:
    return Plans("github", frozenset({Use.DEPLOYMENT}))(occasion(None, HIT, seq=seq))[0]


async def test_a_deployment_object_is_made_once_the_backend_was_asked() -> None:
    places = Places()
    for state in (State.WAITING, State.HELD, State.SUPERSEDED, State.CANCELLED):
        await places.publish(object_of(), snapshot(state))
    assert places.api.calls == []

    for state in (State.ASKED, State.RUNNING, State.DONE):
        await places.publish(object_of(), snapshot(state, asked_at=1.0))

    assert [call[0] for call in places.api.calls] == [
        "create_deployment", "set_deployment", "set_deployment",
    ]  # fmt: skip
    assert places.api.deployments == {
        "1": [SHA, "production/shop/web",
              "shop/web by dokploy-bridge, deployment 0000000000000001.app-web",
              CommitState.SUCCESS]
    }  # fmt: skip
    assert places.api.calls[-1][4] == "https://dokploy.example.com/p"


@pytest.mark.parametrize("end", [State.DONE, State.FAILED])
async def test_where_an_app_is_served_is_said_of_what_is_live_only(end: State) -> None:
    places = Places()
    served = {"app-web": app(url="https://shop.example.com")}

    for state in (State.RUNNING, end):
        await places.publish(object_of(), replace(snapshot(state, asked_at=1.0), apps=served))

    urls = [call[5] for call in places.api.calls if call[0] == "set_deployment"]
    assert urls == [None, "https://shop.example.com" if end is State.DONE else None]


async def test_a_death_between_making_and_remembering_leaves_one_object() -> None:
    places = Places()
    places.api.next("create_deployment", Unanswered("github", "no answer"), arrives=True)
    with pytest.raises(Unanswered):
        await places.publish(object_of(), snapshot())

    await places.publish(object_of(), snapshot(State.DONE))

    assert len(places.api.deployments) == 1
    assert places.api.deployments["1"][3] is CommitState.SUCCESS


async def test_every_kind_that_is_planned_is_shown() -> None:
    for host in ("github", "gitlab"):
        event = push(repository=Repository(host, "1", "a/b"))
        kinds = {one.kind for one in Plans(host, ALL)(occasion(event, HIT, SKIP))}
        others = {f"{host}.comment", f"{host}.preview"}
        assert kinds | others == set(Places(host).publishers)
