"""App Home: how a person's apps stand, what moves, what is broken, what to look after."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import (
    MOST_OPTIONS,
    Element,
    actions,
    button,
    context,
    divider,
    header,
    option,
    section,
    select,
)
from bridge.chats.slack.drawing.facts import ICONS, Links
from bridge.chats.slack.drawing.messages import Block, View
from bridge.chats.slack.drawing.mrkdwn import NOTHING, escape, plain
from bridge.chats.slack.drawing.standing import (
    Standing,
    brief,
    broken,
    icon_of,
    label_of,
    standings,
    still_open,
)
from bridge.core.lifecycle import Deployment
from bridge.core.watch import App

PAGE = 10
MOST_LINES = 5
EVERYTHING = "<all>"
"""The filter that lets all projects through; no project's key has an angle."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What part of the Home somebody looks at; kept in the view's private metadata."""

    page: int = 1
    project: str = EVERYTHING

    def write(self) -> str:
        """For `private_metadata`."""
        project = self.project if self.project == EVERYTHING else plain(self.project, 150)
        return json.dumps({"page": self.page, "project": project})


def read_shown(metadata: str) -> Shown:
    """What `Shown.write` wrote; the beginning where it can't be read."""
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
    links: Links,
) -> View:
    """The Home of a person.

    Args:
        apps: those that they may see.
        deployments: of these apps, newest first; the newest of each app, and all that are open.
        warnings: what else to look after, in plain words, as "no push has come for a week".
        deployable, configurable: ids of the apps that they may deploy, configure; None: all.
    """
    known = {app.id: app for app in apps}
    deployments = [one for one in deployments if one.app_id in known]
    standing = standings(apps, deployments)
    blocks = [_top(), *_lists(known, standing, deployments, links), *_warned(apps, warnings)]
    may = _Rights(deployable, configurable)
    rows, page = _apps(standing, shown, may, links)
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
    for title, those in (
        ("Under way", still_open(deployments)),
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
        text = f"{ICONS[one.state]}  {label_of(app)}\n{brief(one, app, links)}"
        blocks.append(section(text, _inspect(one)))
    if len(those) > MOST_LINES:
        blocks.append(context(f"and {len(those) - MOST_LINES} more"))
    return blocks


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
    return [header("To look after"), section("\n".join([*lines[:MOST_LINES], *more]))]


def _apps(
    standing: Sequence[Standing], shown: Shown, may: _Rights, links: Links
) -> tuple[list[Block], int]:
    if not standing:
        nothing = (
            "There is no app that you may see here yet. `/dokploy whoami` tells what you may do."
        )
        return [section(nothing)], 1
    by_key = {_key(one.app.project): one.app.project for one in standing}
    projects = sorted(by_key.values(), key=str.lower)
    chosen = [one for one in standing if shown.project in (EVERYTHING, _key(one.app.project))]
    pages = max(1, -(-len(chosen) // PAGE))
    page = min(max(shown.page, 1), pages)
    rows: list[Block] = []
    for one in chosen[(page - 1) * PAGE : page * PAGE]:
        rows += _row(one, may, links)
    title = header("Your apps")
    return [title, *_choosing(projects, shown.project, page, pages, len(chosen)), *rows], page


def _row(one: Standing, may: _Rights, links: Links) -> list[Block]:
    text = f"{icon_of(one.newest)}  {label_of(one.app)}\n{brief(one.newest, one.app, links)}"
    buttons = may.buttons(one.app)
    return [section(text), actions(*buttons)] if buttons else [section(text)]


def _choosing(
    projects: Sequence[str], project: str, page: int, pages: int, apps: int
) -> list[Block]:
    """The selects of a project and a page, where there is something to choose."""
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
    """As many page numbers around one as a select can offer."""
    first = max(1, min(page - MOST_OPTIONS // 2, pages - MOST_OPTIONS + 1))
    return range(first, min(pages, first + MOST_OPTIONS - 1) + 1)


def _key(project: str) -> str:
    """A project as an option's value."""
    return plain(project, 150) or NOTHING
