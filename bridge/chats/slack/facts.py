"""An app in Slack: its source, and how it stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.chats.slack.mrkdwn import NOTHING, escape
from bridge.chats.slack.views import ICONS
from bridge.core.apps import App, SourceType
from bridge.core.lifecycle import Deployment, State
from bridge.core.pins import shown_branch
from bridge.views.deployments import APP_NAME
from bridge.views.values import Look


def source_of(app: App) -> str:
    """Return an app's source, not escaped, e.g. "my-org/mono, branch main"."""
    source = app.source
    if source is None:
        return "no source yet"
    if source.type is SourceType.DOCKER:
        return f"image {source.image}" if source.image else "a Docker image"
    where = source.repository or source.url or source.type.value
    branch = shown_branch(app)
    return f"{where}, branch {branch}" if branch else where


# ── The state of apps: each with its newest deployment ────────────────────────────────────────────

NEVER = ICONS[Look.GONE]


@dataclass(frozen=True, slots=True)
class Standing:
    """An app and its newest deployment; None: it was never deployed from here."""

    app: App
    newest: Deployment | None = None


def standings(apps: Iterable[App], deployments: Iterable[Deployment]) -> list[Standing]:
    """Return each app with the newest of the deployments, which come newest first."""
    newest: dict[str, Deployment] = {}
    for one in deployments:
        newest.setdefault(one.app_id, one)
    return [Standing(app, newest.get(app.id)) for app in apps]


def icon_of(deployment: Deployment | None) -> str:
    """Return the icon of its state."""
    return ICONS[deployment.state] if deployment else NEVER


def label_of(app: App) -> str:
    """Return an app's label, bold."""
    return f"*{escape(app.label, APP_NAME) or NOTHING}*"


def still_open(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Return those that have not ended."""
    return [one for one in deployments if not one.final]


def broken(standing: Iterable[Standing]) -> list[Deployment]:
    """Return the newest deployments that failed or are unhealthy, or whose outcome is unknown."""
    ends = (State.FAILED, State.UNHEALTHY, State.UNKNOWN)
    return [one.newest for one in standing if one.newest and one.newest.state in ends]
