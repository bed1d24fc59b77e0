"""The facts in cards, lines and answers, each as a piece of mrkdwn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.chats.facts import card
from bridge.chats.facts.card import Commit, Ref
from bridge.chats.facts.links import APP_NAME, Around, Links, Place
from bridge.chats.facts.links import places_of as all_places
from bridge.chats.facts.proposal import FIRST_LINE, PERSON
from bridge.chats.facts.proposal import first_line as first_line_of
from bridge.chats.slack.mrkdwn import NOTHING, code, escape, link, moment, prose
from bridge.core.apps import App, SourceType
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate, Now
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.people import Actor
from bridge.core.pins import shown_branch
from bridge.views import deployments as views
from bridge.views import states
from bridge.views.states import NOTE
from bridge.views.view import Text, Words

ICONS = {
    State.WAITING: ":hourglass_flowing_sand:",
    State.HELD: ":raised_hand:",
    State.ASKED: ":satellite_antenna:",
    State.QUEUED: ":inbox_tray:",
    State.RUNNING: ":building_construction:",
    State.VERIFYING: ":stethoscope:",
    State.DONE: ":white_check_mark:",
    State.UNHEALTHY: ":face_with_thermometer:",
    State.FAILED: ":x:",
    State.CANCELLED: ":no_entry_sign:",
    State.SUPERSEDED: ":fast_forward:",
    State.UNKNOWN: ":question:",
}

PAST = {Now.ROLLED_BACK: ":leftwards_arrow_with_hook:", Now.UNKNOWN: ":question:"}
"""Icons of what was live; all others have a ticked box."""


def icon_now(state: State, fate: Fate | None) -> str:
    """Return the icon of a state, or of what has become of a version that was live."""
    if fate is None or fate.live:
        return ICONS[state]
    return PAST.get(fate.now, ":ballot_box_with_check:")


def fate_line(fate: Fate | None, lock: Lock | None) -> str:
    """Return until when a version was live, what replaced it, and the lock that was left."""
    said = [] if fate is None else [sentence(fate.says)]
    if fate is not None and fate.until is not None:
        said.insert(0, f"Until {moment(fate.until)}")
    return joined(*said, lock_line(lock))


def lock_line(lock: Lock | None) -> str:
    """Return who has locked the app; "" if nobody has."""
    if lock is None:
        return ""
    until = f" until {moment(lock.until)}" if lock.until is not None else ""
    return f":lock: Locked by {escape(lock.name, PERSON)}{until}"


def text_of(text: Text) -> str:
    """Return untrusted words, escaped."""
    return escape(text.words, text.limit)


def phrase_of(phrase: Words) -> str:
    """Return our own words, with untrusted ones escaped."""
    return "".join(text_of(one) if isinstance(one, Text) else one for one in phrase)


def name_of(deployment: Deployment) -> str:
    """Return the app's name, bold."""
    return bold(Text(deployment.app, APP_NAME))


def bold(text: Text) -> str:
    """Return a name in bold."""
    return f"*{text_of(text) or NOTHING}*"


def ref_of(ref: str | None) -> str:
    """Return a branch as code, a tag with its sign; "" if there is none."""
    return shown_ref(card.ref_of(ref))


def shown_ref(ref: Ref | None) -> str:
    """Return the same of a card's branch or tag."""
    if ref is None:
        return ""
    shown = code(ref.name.words, ref.name.limit)
    return f":label: {shown}" if ref.is_tag else shown


def commit_of(sha: str | None, app: App | None, links: Links) -> str:
    """Return a commit's short name with a link to it."""
    return shown_commit(card.commit_of(sha, app, links))


def shown_commit(commit: Commit | None) -> str:
    """Return the same of a card's commit."""
    return link(commit.url, code(commit.short.words, commit.short.limit)) if commit else ""


def first_line(message: str | None, limit: int = FIRST_LINE) -> str:
    """Return the first non-empty line of a commit's message."""
    return escape(first_line_of(message), limit)


def asked_by(deployment: Deployment) -> str:
    """Return the origin, e.g. "pushed by Ada" or "redeploy asked by Grace"."""
    return phrase_of(views.asked_by(deployment))


def person_of(actor: Actor) -> str:
    """Return a person's name in plain words, e.g. "ada on the command line"."""
    return phrase_of(views.person_of(actor))


def sentence(note: str) -> str:
    """Return a redacted note as a sentence."""
    shown = prose(note, NOTE)
    return shown[:1].upper() + shown[1:]


def news(change: Change) -> str:
    """Return a change's note as a sentence that stays true."""
    return sentence(states.news(change))


def remark(deployment: Deployment, fate: Fate | None = None) -> str:
    """Return a deployment's newest note, if it says more than the state."""
    return sentence(states.remark(deployment, fate))


def since(at: float | None) -> str:
    """Return when the build began; Slack itself keeps the age up to date, without edits."""
    return f"started {moment(at, '{ago}')}" if at is not None else ""


def joined(*pieces: str) -> str:
    """Join the non-empty pieces with dots."""
    return "  ·  ".join(piece for piece in pieces if piece)


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


def places_of(deployment: Deployment, app: App | None, links: Links, around: Around) -> str:
    """Return all known links; "" if there are none."""
    return shown_places(all_places(deployment, app, links, around))


def shown_places(places: Iterable[Place]) -> str:
    """Return the links of a card."""
    return joined(*(link(one.url, text_of(one.label)) for one in places))


# ── The state of apps: each with its newest deployment ────────────────────────────────────────────

NEVER = ":white_small_square:"


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
