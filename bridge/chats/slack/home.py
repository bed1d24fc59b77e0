"""App Home: drawn when somebody opens it, then kept up to date for a while.

A viewer is a subscription that any change marks as pending; the outbox combines a burst of changes
into one drawing. After some minutes without a visit it is dropped.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    MOST_OPTIONS,
    Block,
    Element,
    View,
    actions,
    button,
    context,
    divider,
    header,
    option,
    section,
    select,
)
from bridge.chats.slack.commands import reply_to, run
from bridge.chats.slack.facts import (
    Standing,
    broken,
    icon_of,
    label_of,
    standings,
    still_open,
)
from bridge.chats.slack.mrkdwn import NOTHING, escape, plain
from bridge.chats.slack.quiet_repositories import Silence
from bridge.chats.slack.views import ICONS, Mrkdwn, lines_of
from bridge.chats.slack.workspace import Parts
from bridge.core.access import Person, Right
from bridge.core.apps import App, of_people
from bridge.core.chat.calls import Call
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import Deployment, State
from bridge.ports.chats import AnyReply, Place
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import ABOUT_ANYTHING, Cursor, Subscription
from bridge.views.apps import briefly, live_line
from bridge.views.cards import holds_list
from bridge.views.deployments import holds_of
from bridge.views.links import Links

if TYPE_CHECKING:
    from bridge.chats.slack.render import Outgoing


PAGE = 10
MOST_LINES = 5
MOST_HOLDS = 3
EVERYTHING = "<all>"
"""The filter for all projects; no project's key contains an angle bracket."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of Home that somebody views; stored in the view's private metadata."""

    page: int = 1
    project: str = EVERYTHING

    def write(self) -> str:
        """Return the text for `private_metadata`."""
        project = self.project if self.project == EVERYTHING else plain(self.project, 150)
        return json.dumps({"page": self.page, "project": project})


def read_shown(metadata: str) -> Shown:
    """Read what `Shown.write` wrote; the first page if it is unreadable."""
    try:
        kept = json.loads(metadata)
        return Shown(int(kept["page"]), str(kept["project"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Shown()


def render_home(
    apps: Sequence[App],
    deployments: Sequence[Deployment],
    *,
    shown: Shown = Shown(),
    warnings: Sequence[str] = (),
    deployable: Collection[str] | None = None,
    configurable: Collection[str] | None = None,
    live: Mapping[str, Serving] = MappingProxyType({}),
    links: Links,
) -> View:
    """Render the Home of a person.

    Args:
        apps: the apps that they may see.
        deployments: the newest of each app, and all open ones, newest first.
        warnings: further problems, in plain words, e.g. "no push has arrived for a week".
        deployable, configurable: ids of the apps that they may deploy, configure; None: all.
        live: what apps serve, by their ids.
    """
    known = {app.id: app for app in apps}
    deployments = [one for one in deployments if one.app_id in known]
    standing = standings(apps, deployments)
    blocks = [_top(), *_lists(known, standing, deployments, links), *_warned(apps, warnings)]
    may = _Rights(deployable, configurable)
    rows, page = _apps(standing, shown, may, live, links)
    view: View = {
        "type": "home",
        "callback_id": names.HOME_VIEW,
        "private_metadata": Shown(page, shown.project).write(),
        "blocks": [*blocks, *rows],
    }
    return view


@dataclass(frozen=True, slots=True)
class _Rights:
    deploy: Collection[str] | None
    configure: Collection[str] | None

    def buttons(self, app: App) -> list[Element]:
        found: list[Element] = []
        if self.deploy is None or app.id in self.deploy:
            found.append(button("Deploy", names.HOME_DEPLOY, app.id))
        if self.configure is None or app.id in self.configure:
            found.append(button("Configure", names.HOME_CONFIGURE, app.id))
        return found


def _top() -> Block:
    return actions(button("Deploy an app", names.HOME_NEW, "deploy", style="primary"))


def _lists(
    known: dict[str, App],
    standing: Sequence[Standing],
    deployments: Sequence[Deployment],
    links: Links,
) -> list[Block]:
    blocks: list[Block] = []
    waiting = still_open(deployments)
    for title, those in (
        ("Under way", [one for one in waiting if one.state is not State.HELD]),
        ("Held", [one for one in waiting if one.state is State.HELD]),
        ("Failed lately", broken(standing)),
    ):
        if those:
            blocks += [header(title), *_some(those, known, links)]
    if not blocks and known:
        blocks.append(section(":white_check_mark:  All quiet: nothing runs, nothing failed."))
    return blocks


def _some(those: Sequence[Deployment], known: dict[str, App], links: Links) -> list[Block]:
    blocks: list[Block] = []
    for one in those[:MOST_LINES]:
        app = known[one.app_id]
        lines = [f"{ICONS[one.state]}  {label_of(app)}", _brief(one, app, links)]
        holds = lines_of(holds_list(holds_of(one), rights=False, most=MOST_HOLDS))
        blocks.append(section("\n".join([*lines, *holds]), _inspect(one)))
    if len(those) > MOST_LINES:
        blocks.append(context(f"and {len(those) - MOST_LINES} more"))
    return blocks


def _brief(deployment: Deployment | None, app: App, links: Links) -> str:
    """Return a deployment on one line, without its app's name."""
    if deployment is None:
        return "never deployed from here"
    return Mrkdwn(links).phrase(briefly(deployment, app))


def _inspect(deployment: Deployment) -> Element:
    if deployment.backend_id is not None:
        return button("Log", names.DEPLOYMENT_LOG, deployment.id)
    return button("Why", names.DEPLOYMENT_WHY, deployment.id)


def _warned(apps: Sequence[App], warnings: Sequence[str]) -> list[Block]:
    twice = [
        f":warning:  {label_of(app)} has Auto Deploy on in the backend: every push deploys twice."
        for app in apps
        if app.deploys_twice
    ]
    lines = [*(f":warning:  {escape(one, 500)}" for one in warnings), *twice]
    if not lines:
        return []
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return [header("Needs attention"), section("\n".join([*lines[:MOST_LINES], *more]))]


def _apps(
    standing: Sequence[Standing],
    shown: Shown,
    may: _Rights,
    live: Mapping[str, Serving],
    links: Links,
) -> tuple[list[Block], int]:
    if not standing:
        nothing = (
            "There is no app that you may see here yet. `/dokploy whoami` shows what you may do."
        )
        return [section(nothing)], 1
    by_key = {_key(one.app.project): one.app.project for one in standing}
    projects = sorted(by_key.values(), key=str.lower)
    chosen = [one for one in standing if shown.project in (EVERYTHING, _key(one.app.project))]
    pages = max(1, -(-len(chosen) // PAGE))
    page = min(max(shown.page, 1), pages)
    rows: list[Block] = []
    for one in chosen[(page - 1) * PAGE : page * PAGE]:
        rows += _row(one, may, live.get(one.app.id), links)
    title = header("Your apps")
    return [title, *_choosing(projects, shown.project, page, pages, len(chosen)), *rows], page


def _row(one: Standing, may: _Rights, live: Serving | None, links: Links) -> list[Block]:
    name = f"{icon_of(one.newest)}  {label_of(one.app)}"
    serves = Mrkdwn(links).phrase(live_line(live, one.app))
    text = "\n".join(filter(None, (name, _brief(one.newest, one.app, links), serves)))
    buttons = may.buttons(one.app)
    return [section(text), actions(*buttons)] if buttons else [section(text)]


def _choosing(
    projects: Sequence[str], project: str, page: int, pages: int, apps: int
) -> list[Block]:
    """Return the selects of a project and a page, if there is a choice."""
    elements: list[Element] = []
    if len(projects) > 1:
        everything = option("All projects", EVERYTHING)
        choices = [option(one, _key(one)) for one in projects[: MOST_OPTIONS - 1]]
        now = next((one for one in choices if one["value"] == project), everything)
        elements.append(select(names.HOME_FILTER, "Project", [everything, *choices], now))
    if pages > 1:
        choices = [option(f"Page {n} of {pages}", str(n)) for n in _near(page, pages)]
        now = next(one for one in choices if one["value"] == str(page))
        elements.append(select(names.HOME_PAGE, "Page", choices, now))
    blocks = [actions(*elements)] if elements else []
    return [*blocks, divider()] if apps else [*blocks, section("No app of yours is in there.")]


def _near(page: int, pages: int) -> range:
    """Return as many page numbers around one as a select can offer."""
    first = max(1, min(page - MOST_OPTIONS // 2, pages - MOST_OPTIONS + 1))
    return range(first, min(pages, first + MOST_OPTIONS - 1) + 1)


def _key(project: str) -> str:
    """Return a project as an option's value."""
    return plain(project, 150) or NOTHING


# ── App Home: drawn when somebody opens it, then kept up to date for a while ──────────────────────

HOME = "slack.home"
"""The kind of subscription for a person's Home."""

LOOKS_LAST = 600.0
"""Seconds for which a Home is kept up to date; Slack does not report when it is left."""

NOWHERE = Place()
Body = dict[str, Any]


def home_of(user: str) -> Subscription:
    """Somebody's Home."""
    id_ = f"{HOME} {user}"
    return Subscription(id_, HOME, id_, (ABOUT_ANYTHING,), {"user": user})


class Homes:
    """Draws Homes; of kind `HOME`."""

    def __init__(self, parts: Parts, turn: Turn, silence: Silence) -> None:
        self._parts = parts
        self._turn = turn
        self._silence = silence

    async def publish(
        self, subscription: Subscription, _story: Snapshot, cursor: Cursor, _remember: SaveCursor
    ) -> Sequence[Subscription]:
        """Redraw it for recent visitors; drop the others."""
        if self._parts.clock() - float(cursor.get("looked_at", 0.0)) > LOOKS_LAST:
            await self._parts.journal.unsubscribe(subscription.id, cursor)
            return ()
        await self._turn(subscription.lane)
        await self.draw(str(subscription.place["user"]), _cursor_of(cursor))
        return ()

    async def look(self, user: str, shown: Shown) -> None:
        """Draw it for a visitor now, and for a while whenever something changes."""
        looked = {"looked_at": self._parts.clock(), "page": shown.page, "project": shown.project}
        await self._parts.journal.subscribe([home_of(user)], looked)
        await self.draw(user, shown)

    async def draw(self, user: str, shown: Shown) -> None:
        """Publish what a person may see."""
        parts = self._parts
        person = await parts.people.who(user, parts.workspace.team)
        view = await self._drawn(person, shown, parts.links)
        await parts.client.call("views.publish", user_id=user, view=view)

    async def _drawn(self, person: Person, shown: Shown, links: Links) -> View:
        parts = self._parts
        apps = of_people(parts.commands.apps(person, NOWHERE, Right.VIEW))
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
            live=await parts.journal.serving(apps),
            links=links,
        )


def _ids(parts: Parts, person: Person, right: Right) -> set[str]:
    return {app.id for app in parts.commands.apps(person, NOWHERE, right)}


def _cursor_of(cursor: Cursor) -> Shown:
    return Shown(int(cursor.get("page", 1)), str(cursor.get("project", EVERYTHING)))


# ── Handlers ──────────────────────────────────────────────────────────────────────────────────────


def register(bolt: Any, parts: Parts, homes: Homes) -> None:
    """Register visits of Home, and clicks there."""

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
    """Show another page, or another project from its first page on."""

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
    """Keep a click's request, acknowledge, then answer the person."""

    async def on_click(ack: Any, body: Body) -> Any:
        task = await parts.background.in_time(reply_to(parts, body, work(parts, body)), "click")
        parts.background.start(_tell(parts, body, task), "answer to a click in Home")
        return await ack()

    return on_click


async def _tell(parts: Parts, body: Body, task: Any) -> None:
    """Answer directly what no card shows, since Home has no channel."""
    message: Outgoing | None = await task
    if message is not None and not message.public:
        user = str(body["user"]["id"])
        await parts.client.call("chat.postMessage", channel=user, **message.message.body())


async def _new(parts: Parts, body: Body) -> AnyReply:
    return await parts.commands.answer(await parts.person(body), NOWHERE, Call("deploy", {}), "")


async def _deploy(parts: Parts, body: Body) -> AnyReply:
    call = Call("deploy", {"app": str(body["actions"][0].get("value") or "")})
    return await run(parts, body, call, await parts.clicks.id_of(body), NOWHERE)


async def _configure(parts: Parts, body: Body) -> AnyReply:
    call = Call("provider", {"app": str(body["actions"][0].get("value") or "")})
    return await run(parts, body, call, "", NOWHERE)
