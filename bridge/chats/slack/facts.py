"""The facts in answers, each as a piece of mrkdwn; and the state of apps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.chats.slack.mrkdwn import NOTHING, escape
from bridge.chats.slack.views import ICONS, MRKDWN, phrase_of
from bridge.core.apps import App, SourceType
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Actor
from bridge.core.pins import shown_branch
from bridge.views import deployments, states
from bridge.views.cards import fate_phrase
from bridge.views.deployments import APP_NAME, FIRST_LINE, NOTE
from bridge.views.links import Links
from bridge.views.states import sign_now
from bridge.views.values import Look, Sentence, Strong, Text

joined = MRKDWN.joined


def icon_now(state: State, fate: Fate | None) -> str:
    """Return the icon of a state, or of what has become of a version that was live."""
    return ICONS[sign_now(state, fate)]


def fate_line(fate: Fate | None, lock: Lock | None) -> str:
    """Return until when a version was live, what replaced it, and the lock that was left."""
    return phrase_of(fate_phrase(fate, lock))


def name_of(deployment: Deployment) -> str:
    """Return the app's name, bold."""
    return phrase_of((Strong(Text(deployment.app, APP_NAME)),))


def ref_of(ref: str | None) -> str:
    """Return a branch as code, a tag with its sign; "" if there is none."""
    return phrase_of(deployments.ref_of(ref))


def commit_of(sha: str | None, app: App | None, links: Links) -> str:
    """Return a commit's short name with a link to it."""
    return phrase_of(deployments.commit_of(sha, app, links))


def first_line(message: str | None, limit: int = FIRST_LINE) -> str:
    """Return the first non-empty line of a commit's message."""
    return escape(deployments.first_line(message), limit)


def asked_by(deployment: Deployment) -> str:
    """Return the origin, e.g. "pushed by Ada" or "redeploy asked by Grace"."""
    return phrase_of(deployments.asked_by(deployment))


def person_of(actor: Actor) -> str:
    """Return a person's name in plain words, e.g. "ada on the command line"."""
    return phrase_of(deployments.person_of(actor))


def sentence(note: str) -> str:
    """Return a redacted note as a sentence."""
    return phrase_of((Sentence(note, NOTE),))


def remark(deployment: Deployment, fate: Fate | None = None) -> str:
    """Return a deployment's newest note, if it says more than the state."""
    return sentence(states.remark(deployment, fate))


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
