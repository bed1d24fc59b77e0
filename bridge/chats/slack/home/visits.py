"""App Home: drawn when somebody opens it, and kept up to date for a while after that.

Who looks is a target that any change raises; the feedback loop lets a burst of changes be one
drawing. After some minutes without a look it is forgotten, so nobody's empty room is painted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.chats.slack.commands.answering import reply_to
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.facts import Links
from bridge.chats.slack.drawing.messages import View
from bridge.chats.slack.home.page import EVERYTHING, Shown, read_shown, render_home
from bridge.chats.slack.parts import Parts
from bridge.core.access import Person, Right
from bridge.core.chat.grammar import Command, Verb
from bridge.core.chat.replies import Reply
from bridge.core.events import Action
from bridge.core.silence import silent
from bridge.core.watch import App
from bridge.ports.chats import Place
from bridge.ports.clock import Clock
from bridge.ports.feedback import Remember, Story, Turn
from bridge.ports.targets import ABOUT_ANYTHING, Memory, Target

if TYPE_CHECKING:
    from bridge.chats.slack.commands.outgoing import Outgoing
    from bridge.core.lifecycle import Deployment

HOME = "slack.home"
"""The kind of what is shown in somebody's Home."""

LOOKS_LAST = 600.0
"""Seconds after a look for which a Home is kept up to date; Slack does not tell when it is left."""

NOWHERE = Place()
Body = dict[str, Any]


def home_of(user: str) -> Target:
    """Somebody's Home."""
    id_ = f"{HOME} {user}"
    return Target(id_, HOME, id_, (ABOUT_ANYTHING,), {"user": user})


class Homes:
    """Draws Homes; of kind `HOME`."""

    def __init__(self, parts: Parts, turn: Turn, silence: "Silence") -> None:
        self._parts = parts
        self._turn = turn
        self._silence = silence

    async def show(
        self, target: Target, _story: Story, memory: Memory, _remember: Remember
    ) -> Sequence[Target]:
        """Draw it anew for who has looked lately; forget who has not."""
        if self._parts.clock() - float(memory.get("looked_at", 0.0)) > LOOKS_LAST:
            await self._parts.journal.unwant(target.id)
            return ()
        await self._turn(target.lane)
        await self.draw(str(target.place["user"]), _shown_in(memory))
        return ()

    async def look(self, user: str, shown: Shown) -> None:
        """Somebody looks: draw it now, and whenever something changes for a while."""
        target = home_of(user)
        looked = {"looked_at": self._parts.clock(), "page": shown.page, "project": shown.project}
        await self._parts.journal.want([target])
        await self._parts.journal.remember(target.id, looked)
        await self.draw(user, shown)

    async def draw(self, user: str, shown: Shown) -> None:
        """Publish what a person may see."""
        parts = self._parts
        person = await parts.people.who(user, parts.workspace.team)
        view = await self._drawn(person, shown, parts.links)
        await parts.client.call("views.publish", user_id=user, view=view)

    async def _drawn(self, person: Person, shown: Shown, links: Links) -> View:
        parts = self._parts
        apps = parts.commands.apps(person, NOWHERE, Right.VIEW)
        seen = {app.id for app in apps}
        last = await parts.journal.last_deployments()
        going = await parts.journal.open_deployments()
        all_: dict[str, Deployment] = {one.id: one for one in [*last.values(), *going]}
        newest = sorted(all_.values(), key=lambda one: (-one.seq, one.app))
        return render_home(
            apps,
            [one for one in newest if one.app_id in seen],
            shown=shown,
            warnings=await self._silence.of(apps),
            deployable=_ids(parts, person, Right.DEPLOY),
            configurable=_ids(parts, person, Right.CONFIGURE),
            links=links,
        )


class Silence:
    """Which repositories no push comes from; asked for once in a while."""

    FRESH = 300.0

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self._parts = parts
        self._clock = clock
        self._read_at = -self.FRESH
        self._last: Mapping[str, float] = {}

    async def of(self, apps: Sequence[App]) -> list[str]:
        """What to say of the repositories of these apps."""
        now = self._clock()
        if now - self._read_at >= self.FRESH:
            self._last = await self._parts.journal.last_pushes()
            self._read_at = now
        return silent(apps, self._last, now)


def _ids(parts: Parts, person: Person, right: Right) -> set[str]:
    return {app.id for app in parts.commands.apps(person, NOWHERE, right)}


def _shown_in(memory: Memory) -> Shown:
    return Shown(int(memory.get("page", 1)), str(memory.get("project", EVERYTHING)))


# ── the door ─────────────────────────────────────────────────────────────────


def register(bolt: Any, parts: Parts, homes: Homes) -> None:
    """Listen to who opens Home, and to what is clicked there."""

    async def on_opened(ack: Any, event: Mapping[str, Any]) -> Any:
        if event.get("tab") in (None, "home"):
            shown = read_shown(str((event.get("view") or {}).get("private_metadata")))
            parts.background.start(homes.look(str(event["user"]), shown), "home")
        return await ack()

    bolt.event("app_home_opened")(on_opened)
    bolt.action(names.HOME_PAGE)(_turned(parts, homes))
    bolt.action(names.HOME_FILTER)(_turned(parts, homes))
    bolt.action(names.HOME_NEW)(_clicked(parts, _new))
    bolt.action(names.HOME_DEPLOY)(_clicked(parts, _deploy))
    bolt.action(names.HOME_CONFIGURE)(_clicked(parts, _configure))


def _turned(parts: Parts, homes: Homes) -> Callable[..., Any]:
    """Another page, or another project from its first page on."""

    async def on_turn(ack: Any, body: Body) -> Any:
        shown = read_shown(str((body.get("view") or {}).get("private_metadata")))
        action = body["actions"][0]
        value = str((action.get("selected_option") or {}).get("value") or "")
        if action.get("action_id") == names.HOME_PAGE:
            shown = Shown(int(value) if value.isdecimal() else 1, shown.project)
        else:
            shown = Shown(1, value or EVERYTHING)
        parts.background.start(homes.look(str(body["user"]["id"]), shown), "home")
        return await ack()

    return on_turn


def _clicked(parts: Parts, work: Callable[[Parts, Body], Any]) -> Callable[..., Any]:
    """Keep what a click asks for, acknowledge, then say what there is to say, to who clicked."""

    async def on_click(ack: Any, body: Body) -> Any:
        task = await parts.background.in_time(reply_to(parts, body, work(parts, body)), "click")
        parts.background.start(_tell(parts, body, task), "answer to a click in Home")
        return await ack()

    return on_click


async def _tell(parts: Parts, body: Body, task: Any) -> None:
    """Home has no channel: what is not shown by a card is said in a message to the person."""
    message: Outgoing | None = await task
    if message is not None and not message.public:
        user = str(body["user"]["id"])
        await parts.client.call("chat.postMessage", channel=user, **message.message.body())


async def _new(parts: Parts, body: Body) -> Reply:
    return await parts.commands.answer(await parts.person(body), NOWHERE, Command(Verb.DEPLOY), "")


async def _deploy(parts: Parts, body: Body) -> Reply:
    id_ = await parts.clicks.id_of(body)
    person = await parts.person(body)
    app_id = str(body["actions"][0].get("value") or "")
    reply = await parts.commands.ask(person, NOWHERE, Action.DEPLOY, app_id, id_)
    parts.background.start(parts.commands.note(person, names.HOME_DEPLOY, reply), "audit")
    return reply


async def _configure(parts: Parts, body: Body) -> Reply:
    typed = Command(Verb.PROVIDER, str(body["actions"][0].get("value") or ""))
    person = await parts.person(body)
    reply = await parts.commands.answer(person, NOWHERE, typed, "")
    parts.background.start(parts.commands.note(person, names.HOME_CONFIGURE, reply), "audit")
    return reply
