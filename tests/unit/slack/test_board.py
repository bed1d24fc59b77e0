"""What is said in a card's thread, and what is not said twice."""

from typing import Any

import pytest

from bridge.chats.slack.payloads import Answer
from bridge.core.decision import Reason, because
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.events import Action, Asked
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.people import Actor
from bridge.messages.plans import Channels
from bridge.ports.feedback import Occasion, Snapshot
from bridge.ports.outcomes import Outcome, Subscription
from tests.fakes.journey import app, deployment, push
from tests.scenes.shop import LINKS
from tests.worlds.messages import in_slack

W, A, R, D, F = State.WAITING, State.ASKED, State.RUNNING, State.DONE, State.FAILED
HERE = Channels((), "C1")
HIT = because(app(), Reason.ASKED, "because")


class Client:
    """Slack as far as a board needs it; fails where it is told to.

    Attributes:
        failing: errors by the number of the call.
        refusing: codes of errors by method.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failing: dict[int, Exception] = {}
        self.refusing: dict[str, str] = {}
        self.there: list[dict[str, Any]] = []
        self.reads: list[str] = []

    async def call(self, method: str, **arguments: Any) -> Answer:
        self.calls.append((method, arguments))
        if (error := self.failing.pop(len(self.calls), None)) is not None:
            raise error
        if method in self.refusing:
            raise Refused("slack", f"{self.refusing[method]} ({method})")
        return Answer(method, {"channel": "C1", "ts": f"{len(self.calls)}.0"})

    async def read(self, method: str, **_: Any) -> Answer:
        self.reads.append(method)
        if method == "chat.getPermalink":
            return Answer(method, {"permalink": "https://x.slack.com/archives/C1/p1"})
        if not self.there:
            raise Refused("slack", f"missing_scope ({method})")
        return Answer(method, {"messages": self.there})

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def said(self) -> list[str]:
        return [args["text"] for method, args in self.calls if "thread_ts" in args]


class Grace:
    """People, of whom one has an address."""

    async def by_email(self, email: str) -> str | None:
        return "U0GRACE" if email == "grace@example.com" else None


class Stage:
    """A board, and what its target remembers."""

    def __init__(self) -> None:
        self.client = Client()
        self.cursor: dict[str, Any] = {}
        self.tails = 0
        self.address = ""
        self.plans, publishers = in_slack(
            self.client, HERE, people=Grace(), links=LINKS, tail=self._tail, email_of=self._email_of
        )
        self.board = publishers["slack.card"]

    async def _email_of(self, _deployment: Deployment) -> str:
        return self.address

    async def _tail(self, _deployment: Deployment) -> str:
        self.tails += 1
        return "the end of the log"

    async def _remember(self, cursor: Any) -> None:
        self.cursor = dict(cursor)

    def planned(self, one: Deployment, asked: Asked | None) -> Subscription:
        occasion = Occasion(asked or push(), asked, Outcome(1, "d1", (HIT,), (one,)), {})
        (found,) = self.plans.cards(occasion)
        return found

    async def publish(self, *states: State, asked: Asked | None = None, **others: Any) -> list[Any]:
        one = deployment(1, state=states[-1], **others)
        history = tuple(Change(float(n), state, f"note {n}") for n, state in enumerate(states))
        snapshot = Snapshot(deployments=(one,), history={one.id: history})
        subscription = self.planned(one, asked)
        return list(await self.board.publish(subscription, snapshot, self.cursor, self._remember))


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_quiet_changes_are_said_together_and_a_failure_alone(stage: Stage) -> None:
    await stage.publish(W, A, R, F)

    quiet, loud = stage.client.said()
    assert quiet.count("\n") == 1
    assert "failed" in loud
    broadcasts = [args["reply_broadcast"] for _, args in stage.client.calls if "thread_ts" in args]
    assert broadcasts == [None, True]
    assert stage.tails == 1


@pytest.mark.parametrize(
    ("address", "called"), [("", "<@U0ADA>"), ("grace@example.com", "<@U0GRACE>")]
)
async def test_a_failure_calls_the_author_or_else_who_asked(
    stage: Stage, address: str, called: str
) -> None:
    stage.address = address
    asked = Asked(Action.DEPLOY, "app-web", Actor("slack", "Ada"), person="U0ADA", channel="C9")

    await stage.publish(W, A, F, asked=asked)

    quiet, loud = stage.client.said()
    assert "<@" not in quiet
    assert loud.endswith(called)


async def test_more_changes_than_a_message_holds_are_several(stage: Stage) -> None:
    await stage.publish(W, *[A] * 90, D)

    texts = stage.client.said()
    assert [text.count("\n") + 1 for text in texts] == [40, 40, 11]
    assert all(len(args["blocks"]) <= 50 for _, args in stage.client.calls)


LIMITED = Unreachable("slack", "chat.postMessage: too many calls", retry_after=1.0)


@pytest.mark.parametrize("at", [1, 2], ids=["card", "line"])
async def test_what_slack_refused_for_its_limit_is_not_looked_for(stage: Stage, at: int) -> None:
    stage.client.failing = {at: LIMITED}
    with pytest.raises(Unreachable):
        await stage.publish(W, A)
    await stage.publish(W, A)

    assert [one for one in stage.client.reads if one != "chat.getPermalink"] == []
    assert len(stage.client.said()) == at


async def test_without_the_scope_history_is_asked_for_once(stage: Stage) -> None:
    await stage.publish(W)
    for states in ((W, A), (W, A, R)):
        sent = len(stage.client.calls)  # the card is updated, and then come the lines
        stage.client.failing = {sent + n: Unanswered("slack", "gone") for n in (2, 3)}
        with pytest.raises(Unanswered):
            await stage.publish(*states)
        with pytest.raises(Unanswered):
            await stage.publish(*states)
        await stage.publish(*states)

    assert stage.client.reads.count("conversations.replies") == 1


async def test_a_failure_is_said_though_what_came_before_it_was_cut_off(stage: Stage) -> None:
    stage.client.failing = {3: Unanswered("slack", "gone")}
    with pytest.raises(Unanswered):
        await stage.publish(W, A, F)
    await stage.publish(W, A, F)

    assert [("failed" in text) for text in stage.client.said()] == [False, True, True]


async def test_a_card_that_is_gone_stays_away(stage: Stage) -> None:
    await stage.publish(W)
    stage.client.failing = {2: Refused("slack", "message_not_found (chat.update)")}
    await stage.publish(W, A)
    sent = len(stage.client.calls)
    await stage.publish(W, A, R)

    assert stage.cursor["gone"]
    assert len(stage.client.calls) == sent


async def test_a_refusal_is_told(stage: Stage) -> None:
    stage.client.failing = {1: Refused("slack", "not_in_channel (chat.postMessage)")}

    with pytest.raises(Refused):
        await stage.publish(W)
