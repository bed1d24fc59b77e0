"""An app whose versions come and go, and every place that shows them, read as people read them."""

import json
import re
from collections.abc import Mapping  # noqa: TC003
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from bridge.chats.discord.api import DiscordClient
from bridge.chats.discord.posts import Webhooks, plans_for
from bridge.chats.slack.payloads import Answer
from bridge.console.pages import PAGES
from bridge.console.records import Asked
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK
from bridge.core.apps import App
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.gates.locks import BRIDGE, BY_ITSELF, lock_after
from bridge.core.health.fate import Fate
from bridge.core.health.serving import By, Look, Serving
from bridge.core.lifecycle import Deployment, Evidence, NoteKind, State
from bridge.core.pulls import PullRequest
from bridge.githosts.feedback.publishers import WriteTurns
from bridge.githosts.feedback.subscriptions import Plans, Use, shows_of
from bridge.messages.plans import Channels
from bridge.messages.writer import Body, Posted, Target
from bridge.pipeline.feedback.outbox import Feedback, PublishTiming
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.feedback import Occasion, Pending
from bridge.ports.githosts import CommitState
from bridge.ports.outcomes import Outcome
from bridge.storage.journal import SqlJournal
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import ManualClock, app, deployment, push, source
from tests.worlds.console_records import FRAME, records_of
from tests.worlds.messages import at_once, in_discord, in_slack

WEB = app()
HIT = Decision(WEB.id, WEB.label, Reason.PATH_HIT, "web/index.html")
NOW = re.compile(r" is live| is unhealthy|is served again")
CLAIM = re.compile(rf"{NOW.pattern}|goes back to .{{1,40}} by itself")
"""What is true only of what is served now."""

BY_ADA: dict[str, Any] = {
    "trigger": "slack: Ada (U0ADA)",
    "person": "slack:U0ADA",
    "commit": None,
}

DOUBT = "?"
"""The commit that is live where nobody knows it."""


class SlackChannel:
    """Slack's messages as they stand, by their times."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}

    async def call(self, method: str, **arguments: Any) -> Answer:
        ts = str(arguments.get("ts") or f"{len(self.messages) + 1}.0")
        kept = self.messages.get(ts, {})
        self.messages[ts] = {**kept, **arguments, "method": method}
        return Answer(method, {"channel": "C1", "ts": ts})

    async def read(self, method: str, **arguments: Any) -> Answer:
        if method == "chat.getPermalink":
            return Answer(method, {"permalink": f"https://x.slack.com/{arguments}"})
        return Answer(method, {"messages": []})

    async def by_email(self, _email: str) -> str | None:
        return None


class DiscordChannel(Webhooks):
    """Discord's cards as they stand, by their subscriptions."""

    def __init__(self) -> None:
        super().__init__(DiscordClient("https://discord.test"), {}, at_once)
        self.cards: dict[str, Mapping[str, Any]] = {}
        self.more: list[Mapping[str, Any]] = []

    def by(self, _to: Target) -> str:
        return "600000000000000001"

    async def ready(self, _to: Target) -> None:
        """A turn without a limit."""

    async def post(self, body: Body, to: Target) -> Posted:
        (embed,) = body["embeds"]
        if to.lines:
            self.more.append(embed)
        else:
            self.cards[to.subscription.id] = embed
        return Posted("1")

    async def edit(self, body: Body, to: Target) -> None:
        (self.cards[to.subscription.id],) = body["embeds"]

    async def link(self, _to: Target) -> str:
        return ""


@dataclass
class World:
    """An app, what happens to it, and all that is shown of it.

    Attributes:
        app: what its backend says of the app.
        live: the commit that is live; `DOUBT` if nobody knows, "" for nothing.
        left: the commit that was live when the app was deleted or stopped.
        head: the commit that was pushed last.
        brought: what the bridge has brought, oldest first.
    """

    clock: ManualClock
    journal: SqlJournal
    app: App = WEB
    live: str = ""
    left: str = ""
    head: str = ""
    brought: list[Deployment] = field(default_factory=list)
    slack: SlackChannel = field(default_factory=SlackChannel)
    discord: DiscordChannel = field(default_factory=DiscordChannel)
    api: FakeHostApi = field(default_factory=FakeHostApi)

    def __post_init__(self) -> None:
        self.seqs = count(1)
        pace = WriteTurns(self._turn, self._turn, self._turn, self.clock)
        plans, publishers = in_slack(self.slack, Channels(default="C1"), people=self.slack)
        here = Channels(default="default")
        self.planners = (
            plans.cards,
            plans_for(here, {}).cards,
            Plans("github", frozenset(Use), skipped=True),
        )
        publishers = {
            **publishers,
            **in_discord(self.discord, here),
            **shows_of(self.api, pace, "0123"),
        }
        self.feedback = Feedback(
            self.journal,
            publishers,
            self.clock,
            PublishTiming(),
            rate_limiter=RateLimiter(self.clock, sleep=self.clock.sleep),
            owner="solo",
            chance=lambda: 0.5,
        )

    async def _turn(self, _lane: str) -> None:
        """A turn without a limit."""

    # ── what happens ────────────────────────────────────────────────────────

    async def push(self, end: State = State.DONE, **facts: Any) -> Deployment:
        """A push that is built; a commit of its own is its head."""
        new = self._pushed(**facts)
        return await self._brought(new, self.head, end)

    async def waits(self) -> None:
        """A push that is not asked for: something holds it, or it waits for its turn."""
        await self._recorded(self._pushed())

    async def promote(self) -> Deployment:
        """A version that somebody has asked for, e.g. by a promotion or in spite of a gate."""
        seq = next(self.seqs)
        return await self._brought(deployment(seq, **BY_ADA), f"{seq:x}" * 40, State.DONE)

    async def again(self, action: Action = Action.DEPLOY) -> Deployment:
        """Somebody has the head of the branch deployed."""
        new = deployment(next(self.seqs), action=action, **BY_ADA)
        return await self._brought(new, self.head, State.DONE)

    async def redeploy(self) -> Deployment:
        """Somebody has what is checked out built again."""
        return await self.again(Action.REDEPLOY)

    async def breaks(self) -> Deployment:
        """A push that is found unhealthy, from which the bridge goes back by itself."""
        bad = await self.push(State.UNHEALTHY)
        to = self._last_good(bad)
        return await self._back(to, trigger=f"rollback: {BRIDGE}", back_from=bad.id)

    async def broken(self) -> Deployment:
        """A push that is found unhealthy; nothing has gone back from it yet."""
        return await self.push(State.UNHEALTHY)

    async def gives_up(self, bad: Deployment, end: State) -> None:
        """The way back that was announced ends without having led anywhere."""
        target = self.brought[0].id
        facts: dict[str, Any] = {"target": target, "way": "kept", "commit": None}
        facts["back_from"] = bad.id
        trigger = f"rollback: {BRIDGE}"
        back = deployment(
            next(self.seqs), action=Action.ROLLBACK, trigger=trigger, **facts,
        )  # fmt: skip
        await self._recorded(back)
        if end is State.FAILED:
            await self.journal.move(back.id, State.ASKED)
        await self.journal.move(back.id, end)

    async def fails(self) -> None:
        """A push whose build fails."""
        new = self._pushed()
        await self._begun(new)
        await self.journal.move(new.id, State.FAILED, "npm ERR!")

    async def rollback(self) -> Deployment:
        """A person goes back to the version before."""
        return await self.back_to(self._last_good(self.brought[-1]))

    async def far_back(self) -> Deployment:
        """A person goes back to the first version."""
        return await self.back_to(self.brought[0])

    async def back_to(self, to: Deployment) -> Deployment:
        """A person goes back to a version."""
        return await self._back(to, **BY_ADA)

    async def stays(self) -> None:
        """A push that is built, and does not replace the version before: its image still runs."""
        before = self.brought[-1]
        await self.push(State.UNHEALTHY)
        await self._seen(before, By.BRIDGE)

    async def put_back(self) -> None:
        """Somebody goes back to the version before at the backend, of which there is no record."""
        await self._seen(self.brought[-2], By.BACKEND)

    async def far_put_back(self) -> None:
        """The same of the first version."""
        await self._seen(self.brought[0], By.BACKEND)

    async def by_hand(self, commit: str = "f" * 40) -> None:
        """Somebody deploys at the backend, and the bridge sees it."""
        self.live = commit
        await self._look(record="theirs", commit=self.live, by=By.BACKEND)

    async def old_by_hand(self) -> None:
        """The same, of the commit of the first version."""
        await self.by_hand(self.brought[0].deployed_commit or "")

    async def deleted(self) -> None:
        """Somebody deletes the app at the backend, and the bridge sees it."""
        await self.journal.save_apps("dokploy", [])
        self.left, self.live = self.live, ""

    async def returns(self) -> None:
        """The app is listed once more, e.g. since the key may see it again."""
        await self.journal.save_apps("dokploy", [self.app])
        self.live = self.left

    async def renamed(self) -> None:
        """Somebody renames the app; its next push has an object in another environment."""
        self.app = replace(self.app, name="shopfront")

    async def moved(self) -> None:
        """Somebody has the app deployed from another repository."""
        self.app = replace(self.app, source=source(repository="my-org/other"))

    async def verifying(self) -> None:
        """A push that is live, and verified for longer than anything takes to be shown."""
        new = self._pushed()
        await self._begun(new)
        await self.journal.move(new.id, State.VERIFYING, "", deployed_commit=self.head)
        self.live = self.head

    async def stop(self) -> None:
        """Somebody stops the app at the backend, and the bridge sees it."""
        self.left, self.live = self.live, ""
        await self._look_again(stopped=True)

    async def start(self) -> None:
        """Somebody starts it again."""
        self.live = self.left
        await self._look_again(stopped=False)

    async def in_doubt(self) -> None:
        """A deployment whose outcome nobody knows."""
        seq = next(self.seqs)
        await self._begun(deployment(seq, commit=f"{seq:x}" * 40))
        id_ = deployment(seq).id
        await self.journal.move(id_, State.UNKNOWN, "accepted, outcome unknown: it was lost")
        self.live = DOUBT

    async def _seen(self, one: Deployment, by: By) -> None:
        """The bridge sees that the image of an earlier deployment runs."""
        self.live = one.deployed_commit or ""
        image = {"record": "an image", "evidence": Evidence.IMAGE}
        await self._look(deployment=one.id, commit=self.live, by=by, **image)

    async def _look_again(self, *, stopped: bool) -> None:
        known = (await self.journal.serving([WEB]))[WEB.id]
        if (look := known.shown) is None:
            newest = {"deployment": self.brought[-1].id, "commit": known.commit}
            return await self._look(record="ours", by=By.BRIDGE, stopped=stopped, **newest)
        again = replace(look, at=self.clock(), stopped=stopped)
        return await self.journal.save_look(WEB.id, again)

    async def _look(self, **shown: Any) -> None:
        newest = self.brought[-1].id if self.brought else None
        found = await self.journal.serving([WEB])
        known = found.get(WEB.id, Serving(None))
        told: dict[str, Any] = {
            "newest": newest,
            "doubt": known.doubt.id if known.doubt else None,
            "place": "Dokploy",
        }
        look = Look(self.clock(), since=self.clock(), **told, **shown)
        await self.journal.save_look(WEB.id, look)

    async def unlock(self) -> None:
        """Somebody removes the app's lock."""
        await self.journal.release_lock(f"app/{WEB.id}", [WEB.id])

    def _last_good(self, left: Deployment) -> Deployment:
        made = [one for one in self.brought if one.action is not Action.ROLLBACK]
        others = [one for one in made if one.deployed_commit != left.deployed_commit]
        return next(one for one in reversed(others) if one.state is State.DONE)

    async def _back(self, to: Deployment, **facts: Any) -> Deployment:
        back = {"target": to.id, "way": "kept", "commit": None}
        new = deployment(next(self.seqs), action=Action.ROLLBACK, **back | facts)
        return await self._brought(new, to.deployed_commit or "", State.DONE)

    async def _brought(self, new: Deployment, sha: str, end: State) -> Deployment:
        await self._begun(new)
        note = f"commit {sha[:7]} is live"
        facts: dict[str, Any] = {
            "deployed_commit": sha,
            "finished_at": self.clock(),
            "note_kind": NoteKind.LIVE,
        }
        if new.action is Action.ROLLBACK:
            note = f"{sha[:7]} is served again, as it was built then"
            facts["note_kind"] = NoteKind.AGAIN
            lock = lock_after(new, WEB, self.clock())
            lock = lock if new.person else replace(lock, owner=BY_ITSELF)
            await self.journal.move_and_lock(lock, new.id, State.VERIFYING, note, **facts)
        else:
            await self.journal.move(new.id, State.VERIFYING, note, **facts)
        self.live = sha
        await self.clock.sleep(5)
        said = {"note_kind": facts["note_kind"], "way_back": ""}
        if end is State.UNHEALTHY:
            said["way_back"] = "it goes back to 1234567 by itself"
            note += f", but GET https://shop.example.com/: 502; {said['way_back']}"
        await self.journal.move(new.id, end, note, **said)
        found = await self.journal.deployment(new.id)
        assert found is not None
        self.brought.append(found)
        return found

    def _pushed(self, **facts: Any) -> Deployment:
        """Return the deployment of a push; its commit is the head of a pull request."""
        seq = next(self.seqs)
        self.head = f"{seq:x}" * 40
        self.api.pulls[self.head] = [PullRequest(seq, "main", self.head, open=True)]
        return deployment(seq, commit=self.head, **facts)

    async def _begun(self, new: Deployment) -> None:
        await self._recorded(new)
        await self.clock.sleep(5)
        for state in (State.ASKED, State.RUNNING):
            await self.journal.move(new.id, state, asked_at=self.clock())

    async def _recorded(self, new: Deployment) -> None:
        await self.journal.save_apps("dokploy", [self.app])
        event = replace(push(), after=new.commit or "b" * 40)
        if self.app.source is not None:
            repository = replace(event.repository, name=self.app.source.repository or "")
            event = replace(event, repository=repository)
        if new.commit is not None and event.commit is not None:
            event = replace(event, commit=replace(event.commit, sha=new.commit))
        outcome = Outcome(new.seq, new.delivery, (HIT,), (new,))
        occasion = Occasion(event, None, outcome, {WEB.id: self.app})
        planners = self.planners if new.trigger == "push" else self.planners[:2]
        planned = [one for plan in planners for one in plan(occasion)]
        recorded = replace(outcome, subscriptions=tuple(planned))
        await self.journal.record([recorded], window=0)

    async def rest(self) -> None:
        """Let a minute pass at most until everything is published."""
        until = self.clock() + 60
        while await self._due():
            assert self.clock() < until, await self._due()
            pause = await self.feedback.look()
            await self.feedback.settled()
            await self.clock.sleep(min(max(pause, 0.01), 5.0))

    async def _due(self) -> list[Pending]:
        found = await self.journal.feedback(limit=1000)
        return [one for one in found if one.shown < one.wanted]

    # ── what is shown ───────────────────────────────────────────────────────

    async def places(self) -> dict[str, str]:
        """Return what each place says of each deployment, by the place and the deployment's id."""
        found: dict[str, str] = {}
        for message in self.slack.messages.values():
            words = json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)
            kind = "thread" if message.get("thread_ts") else "card"
            where = f"slack {kind} {message.get('ts') or message.get('thread_ts')}"
            found[f"{where} {len(found)}"] = words
        for id_, embed in self.discord.cards.items():
            found[f"discord {id_}"] = json.dumps(embed, ensure_ascii=False)
        for number, embed in enumerate(self.discord.more):
            found[f"discord message {number}"] = json.dumps(embed, ensure_ascii=False)
        for number in self.api.written:
            found[f"comment {number}"] = "\n".join(self.api.ours(number))
        for (commit, _), (state, words) in self.api.statuses.items():
            found[f"status {commit[:7]}"] = f"{state}: {words}"
        return found

    def card_of(self, one: Deployment) -> str:
        """Return a deployment's card in Discord."""
        (card,) = (
            json.dumps(embed, ensure_ascii=False)
            for id_, embed in self.discord.cards.items()
            if one.id in id_
        )
        return card

    def card_in_slack(self, one: Deployment) -> str:
        """Return a deployment's card in Slack."""
        (card,) = (
            json.dumps(message["blocks"], ensure_ascii=False)
            for message in self.slack.messages.values()
            if not message.get("thread_ts") and f'"{one.id}"' in json.dumps(message["blocks"])
        )
        return card

    def thread_of(self, one: Deployment) -> list[str]:
        """Return what the thread of a deployment's card in Slack says, oldest first."""
        (card,) = (
            ts
            for ts, message in self.slack.messages.items()
            if not message.get("thread_ts") and f'"{one.id}"' in json.dumps(message["blocks"])
        )
        messages = self.slack.messages.values()
        return [str(one["text"]) for one in messages if one.get("thread_ts") == card]

    def active(self) -> set[str]:
        """Return the commits whose deployment objects the host shows as active.

        A success ends the older ones of its repository and environment.
        """
        active = dict[int, object]()
        for name, repository, *about in self.api.calls:
            id_ = int(str(about[0])) if name in ("set_deployment", "end_deployment") else 0
            if name == "set_deployment" and about[1] is CommitState.SUCCESS:
                place = repository, self.api.deployments[str(id_)][1]
                active = {one: at for one, at in active.items() if one > id_ or at != place}
                active[id_] = place
            elif name == "end_deployment":
                active.pop(id_, None)
        return {str(self.api.deployments[str(id_)][0]) for id_ in active}

    async def fates(self) -> dict[str, Fate]:
        """Return what the journal says of each deployment."""
        return await self.journal.fates(self.brought)

    async def page(self, one: Deployment) -> str:
        """Return the console's page of a deployment."""
        return await self._drawn("/console/deployments/{id}", one.id)

    async def first_page(self) -> str:
        """Return what the console's first page says needs somebody."""
        page = await self._drawn("/console", "")
        return page.partition('<section class="needs"')[2].partition("</section>")[0]

    async def app_page(self) -> str:
        """Return the console's page of the app."""
        return await self._drawn("/console/apps/{id}", WEB.id)

    async def apps_page(self) -> str:
        """Return the console's list of apps."""
        return await self._drawn("/console/apps", "")

    async def _drawn(self, path: str, id_: str) -> str:
        async with records_of([WEB]) as records:
            ours = replace(records, journal=self.journal)
            page = await PAGES[path](ours, BY_LINK, Asked({"id": id_}, {}))
            return draw(page, FRAME, self.clock())
