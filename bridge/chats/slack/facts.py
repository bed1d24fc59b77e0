"""The facts in cards, lines and answers, each as a piece of mrkdwn."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from bridge.chats.slack.mrkdwn import NOTHING, clean, code, escape, link, moment, prose
from bridge.core.apps import App, SourceType
from bridge.core.events import Action
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.lifecycle import Deployment, State
from bridge.core.log_text import redact
from bridge.core.refs import normalise_url
from bridge.ports.feedback import Snapshot
from bridge.ports.githosts import Pages
from bridge.ports.outcomes import Cursor

ICONS = {
    State.WAITING: ":hourglass_flowing_sand:",
    State.ASKED: ":satellite_antenna:",
    State.QUEUED: ":inbox_tray:",
    State.RUNNING: ":building_construction:",
    State.DONE: ":white_check_mark:",
    State.FAILED: ":x:",
    State.CANCELLED: ":no_entry_sign:",
    State.SUPERSEDED: ":fast_forward:",
    State.UNKNOWN: ":question:",
}

VERDICTS = {
    State.WAITING: "waits for its turn",
    State.ASKED: "is about to start",
    State.QUEUED: "waits in the backend's queue",
    State.RUNNING: "is building",
    State.DONE: "is live",
    State.FAILED: "failed",
    State.CANCELLED: "was cancelled",
    State.SUPERSEDED: "gave way to a newer deployment",
    State.UNKNOWN: "has an unknown outcome",
}
"""A deployment's state, as a phrase after the app's name."""

_NOTHING_NEW = frozenset(
    {
        (State.WAITING, "waits for its turn"),
        (State.ASKED, "the backend accepted it"),
        (State.QUEUED, "waits in the backend's queue"),
        (State.RUNNING, "builds"),
    }
)
"""Notes that only repeat the state."""

_AWAY = "waits for the backend"

APP_NAME = 200
FIRST_LINE = 120
PERSON = 60
REF_NAME = 100
ENVIRONMENT = 60
NOTE = 500
LONGEST_ADDRESS = 400

_SHA = re.compile(r"[0-9a-f]{7,64}").fullmatch


@dataclass(frozen=True, slots=True)
class Links:
    """The web pages of repositories; a link is never taken from a payload.

    Attributes:
        hosts: the web address of each Git host, by its key, and its pages of repositories.
        backends: each backend's title, by its name.
    """

    hosts: Mapping[str, tuple[str, Pages]] = field(default_factory=dict)
    backends: Mapping[str, str] = field(default_factory=dict)

    def commit(self, app: App | None, sha: str | None) -> str | None:
        """Return the page of a commit of an app's repository; None if it is not known for sure."""
        home = self._repository(app)
        if home is None or sha is None or not _SHA(sha):
            return None
        page, pages = home
        return page + pages.commit.format(sha=sha) if len(page) < LONGEST_ADDRESS else None

    def compare(self, app: App | None, old: str | None, new: str | None) -> str | None:
        """Return the page that compares two commits; None if it is unknown, or empty."""
        home = self._repository(app)
        if home is None or old is None or new is None or not (_SHA(old) and _SHA(new)):
            return None
        page, pages = home
        return None if same_commit(old, new) else page + pages.compare.format(old=old, new=new)

    def pull_request(self, app: App | None, number: int) -> tuple[str, str] | None:
        """Return the page of a pull request, and the sign before its number."""
        home = self._repository(app)
        if home is None:
            return None
        page, pages = home
        return page + pages.pull_request.format(number=number), pages.sign

    def _repository(self, app: App | None) -> tuple[str, Pages] | None:
        source = app.source if app else None
        if source is None:
            return None
        if source.url is not None:
            return self._by_address(source.url)
        home = self.hosts.get(source.type.value)
        if home is None or not source.repository:
            return None
        url, pages = home
        return f"{url.rstrip('/')}/{quote(source.repository)}", pages

    def _by_address(self, address: str) -> tuple[str, Pages] | None:
        for url, pages in self.hosts.values():
            if address.startswith(prefix := normalise_url(url) + "/"):
                return f"{url.rstrip('/')}/{quote(address.removeprefix(prefix))}", pages
        return None


def name_of(deployment: Deployment) -> str:
    """Return the app's name, bold."""
    return f"*{escape(deployment.app, APP_NAME) or NOTHING}*"


def ref_of(ref: str | None) -> str:
    """Return a branch as code, a tag with its sign; "" if there is none."""
    if not ref:
        return ""
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    shown = code(name, REF_NAME)
    return f":label: {shown}" if ref.startswith("refs/tags/") else shown


def commit_of(sha: str | None, app: App | None, links: Links) -> str:
    """Return a commit's short name with a link to it."""
    if not sha:
        return ""
    return link(links.commit(app, sha), code(sha[:7], 20))


def first_line(message: str | None, limit: int = FIRST_LINE) -> str:
    """Return the first non-empty line of a commit's message."""
    lines = (line for line in (message or "").splitlines() if clean(line))
    return escape(next(lines, ""), limit)


_PUSHED = {"push": "pushed", "tag": "tagged"}
_DOOR = re.compile(r"\b(?P<door>slack|cli): ")
_USER_ID = re.compile(r" \([UW][A-Z0-9]+\)")


def asked_by(deployment: Deployment) -> str:
    """Return the origin, e.g. "pushed by Ada" or "redeploy asked by Grace"."""
    kind, _, more = deployment.trigger.partition(", ")
    if (pushed := _PUSHED.get(kind)) is not None:
        author = escape(deployment.author or "", PERSON)
        by = f"{pushed} by {author}" if author else pushed
        return ", ".join(filter(None, (by, person_of(more))))
    verb = "redeploy" if deployment.action is Action.REDEPLOY else "deploy"
    who = person_of(deployment.trigger)
    return f"{verb} asked by {who}" if who else f"{verb} asked"


def person_of(actor: str) -> str:
    """Return a person's name in plain words: "cli: ada" is "ada on the command line"."""
    shown = escape(_USER_ID.sub("", _DOOR.sub("", actor, count=1)), PERSON)
    door = _DOOR.search(actor)
    return f"{shown} on the command line" if shown and door and door["door"] == "cli" else shown


def sentence(note: str) -> str:
    """Return a note for people, redacted and escaped, with a capital."""
    shown = prose(redact(note[:MOST_CHARACTERS]), NOTE)
    return shown[:1].upper() + shown[1:]


def verdict_of(deployment: Deployment) -> str:
    """Return a deployment's state, as a phrase after the app's name."""
    if deployment.state is State.WAITING and deployment.note.startswith(_AWAY):
        return "waits for the backend"
    return VERDICTS[deployment.state]


def news(state: State, note: str) -> str:
    """Return a change's note as a sentence."""
    if state is State.SUPERSEDED:
        return "A newer deployment takes its place"
    return sentence(note.removeprefix("accepted, outcome unknown: "))


def remark(deployment: Deployment) -> str:
    """Return a deployment's newest note, if it says more than the state."""
    if (deployment.state, deployment.note) in _NOTHING_NEW or deployment.superseded_by:
        return ""
    as_shown = deployment.deployed_commit and not another_commit(deployment)
    if as_shown and deployment.action is Action.DEPLOY:
        return ""
    return news(deployment.state, deployment.note.removeprefix(f"{_AWAY}: "))


def same_commit(one: str, other: str) -> bool:
    """Return whether two ids, possibly shortened, mean the same commit."""
    return one.startswith(other) or other.startswith(one)


def another_commit(deployment: Deployment) -> bool:
    """Return whether the backend reports another commit than was pushed."""
    deployed, pushed = deployment.deployed_commit, deployment.commit
    return bool(deployed and pushed and not same_commit(deployed, pushed))


def duration(seconds: float) -> str:
    """Return a duration in at most two units, e.g. "1 min 12 s"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def _two(many: int, unit: str, few: int, smaller: str) -> str:
    return f"{many} {unit} {few} {smaller}" if few else f"{many} {unit}"


def took(deployment: Deployment) -> str:
    """Return how long it took from its start to its end; "" if that is not known."""
    began = deployment.started_at or deployment.asked_at
    if deployment.finished_at is None or began is None:
        return ""
    return duration(deployment.finished_at - began)


def since(deployment: Deployment) -> str:
    """Return when the build began; Slack itself keeps the age up to date, without edits."""
    if deployment.state is not State.RUNNING or deployment.started_at is None:
        return ""
    return f"started {moment(deployment.started_at, '{ago}')}"


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
    return f"{where}, branch {source.branch}" if source.branch else where


# ── Links of a deployment: its site, its backend, its pull request. Pure ──────────────────────────

MOST_PULLS = 3
"""The most pull requests to link to; a commit seldom belongs to more than one."""

_ADDRESS = re.compile(r"https?://[^\s<>|]+").fullmatch
_COMMENT = re.compile(r"[^.\s]+\.comment \S+ (\d+)").fullmatch


@dataclass(frozen=True, slots=True)
class Around:
    """Facts that a deployment's own record lacks.

    Attributes:
        pulls: the numbers of the pull requests that show it.
        before: the app's previously live commit.
    """

    pulls: tuple[int, ...] = ()
    before: str | None = None


NOTHING_KNOWN = Around()


def around_of(deployment: Deployment, snapshot: Snapshot) -> Around:
    """Return the further facts about a deployment in a snapshot."""
    return Around(_pulls_in(snapshot.beside), snapshot.before.get(deployment.id))


def places_of(deployment: Deployment, app: App | None, links: Links, around: Around) -> str:
    """Return all known links; "" if there are none."""
    if app is None:
        return ""
    changed = links.compare(app, around.before, deployment.deployed_commit or deployment.commit)
    pulls = ((number, links.pull_request(app, number)) for number in around.pulls[:MOST_PULLS])
    backend = escape(links.backends.get(app.backend, app.backend), APP_NAME)
    return joined(
        _linked(app.url if deployment.state is State.DONE else None, "Site"),
        _linked(_page_of(app) if deployment.asked_at is not None else None, backend),
        *(_linked(found[0], f"{found[1]}{number}") for number, found in pulls if found),
        _linked(changed, "What changed"),
    )


def _pulls_in(beside: Mapping[str, Cursor]) -> tuple[int, ...]:
    """Return the pull requests that have a comment about it."""
    found = (_COMMENT(id_) for id_, cursor in beside.items() if cursor.get("comment"))
    return tuple(sorted({int(one[1]) for one in found if one}))


def _page_of(app: App) -> str | None:
    """Return the page of an app's deployments in the backend, else the app's page."""
    page = app.page
    return f"{page}?tab=deployments" if page and "/services/" in page and "?" not in page else page


def _linked(url: str | None, label: str) -> str:
    if url is None or len(url) > LONGEST_ADDRESS or not _ADDRESS(url):
        return ""
    return link(url, label)


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


def newest_at(deployment: Deployment) -> str:
    """Return the time of its latest event."""
    at = deployment.finished_at or deployment.started_at or deployment.created_at
    return moment(at)


def brief(deployment: Deployment | None, app: App | None, links: Links, said: int = 60) -> str:
    """Return a deployment on one line, without its app's name."""
    if deployment is None:
        return "never deployed from here"
    what = changed(deployment, app, links, said)
    return joined(ref_of(deployment.ref), what, newest_at(deployment))


def changed(deployment: Deployment, app: App | None, links: Links, said: int) -> str:
    """Return the commit, and the first line of its message, at most `said` long."""
    commit = commit_of(deployment.deployed_commit or deployment.commit, app, links)
    return " ".join(filter(None, (commit, first_line(deployment.message, said))))


def still_open(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Return those that have not ended."""
    return [one for one in deployments if not one.final]


def broken(standing: Iterable[Standing]) -> list[Deployment]:
    """Return the newest deployments that failed, or whose outcome is unknown."""
    ends = (State.FAILED, State.UNKNOWN)
    return [one.newest for one in standing if one.newest and one.newest.state in ends]
