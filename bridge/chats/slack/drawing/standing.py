"""How apps stand: each with its newest deployment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.chats.slack.drawing.facts import (
    APP_NAME,
    ICONS,
    Links,
    commit_of,
    first_line,
    joined,
    ref_of,
)
from bridge.chats.slack.drawing.mrkdwn import (
    NOTHING,
    escape,
    moment,
)
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import App

NEVER = ":white_small_square:"


@dataclass(frozen=True, slots=True)
class Standing:
    """An app and its newest deployment; None: it was never deployed from here."""

    app: App
    newest: Deployment | None = None


def standings(apps: Iterable[App], deployments: Iterable[Deployment]) -> list[Standing]:
    """Each app with the newest of the deployments, which come newest first."""
    newest: dict[str, Deployment] = {}
    for one in deployments:
        newest.setdefault(one.app_id, one)
    return [Standing(app, newest.get(app.id)) for app in apps]


def icon_of(deployment: Deployment | None) -> str:
    """The sign of its state."""
    return ICONS[deployment.state] if deployment else NEVER


def label_of(app: App) -> str:
    """An app's label, bold."""
    return f"*{escape(app.label, APP_NAME) or NOTHING}*"


def since(deployment: Deployment) -> str:
    """The time of the newest news of it."""
    at = deployment.finished_at or deployment.started_at or deployment.created_at
    return moment(at)


def brief(deployment: Deployment | None, app: App | None, links: Links, said: int = 60) -> str:
    """A deployment in one line, without its app's name."""
    if deployment is None:
        return "never deployed from here"
    what = changed(deployment, app, links, said)
    return joined(ref_of(deployment.ref), what, since(deployment))


def changed(deployment: Deployment, app: App | None, links: Links, said: int) -> str:
    """The commit, and the first line of its message, at most `said` long."""
    commit = commit_of(deployment.deployed_commit or deployment.commit, app, links)
    return " ".join(filter(None, (commit, first_line(deployment.message, said))))


def still_open(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Those that have not ended."""
    return [one for one in deployments if not one.final]


def broken(standing: Iterable[Standing]) -> list[Deployment]:
    """The newest deployments of apps that failed, or whose end nobody knows."""
    ends = (State.FAILED, State.UNKNOWN)
    return [one.newest for one in standing if one.newest and one.newest.state in ends]
