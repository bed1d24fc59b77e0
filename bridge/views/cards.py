"""The card of a deployment, and what is told once of its changes.

They are made here once; each chat only renders them.
"""

from collections.abc import Sequence

from bridge.core.apps import App, environment_of
from bridge.core.chat.grammar import capital
from bridge.core.events import Action as Asked
from bridge.core.failure import failure_in
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate
from bridge.core.health.rollback import version_of as version_brought
from bridge.core.holds import Hold, proposal_in
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.masking import redact
from bridge.views import actions
from bridge.views.deployments import (
    APP_NAME,
    ENVIRONMENT,
    FIRST_LINE,
    IMAGE,
    NOTE,
    PERSON,
    TONES,
    another_commit,
    asked_by,
    commit_of,
    first_line,
    holds_of,
    ref_of,
    took,
    version_of,
    visible,
)
from bridge.views.links import Around, Links, places_of
from bridge.views.proposal import Proposed, proposed_of
from bridge.views.states import news, redacted, remark, sign_now, told_verdict, verdict_of
from bridge.views.text import clean, clean_lines
from bridge.views.values import (
    Code,
    Form,
    Icon,
    Link,
    Mark,
    Moment,
    Phrase,
    Sentence,
    Sign,
    Strong,
    Text,
    joined,
)
from bridge.views.view import Item, Lines, Tone, View, Weight

HOLD = 300
"""The most characters of a reason that stands among others."""

MOST_HOLDS = 6

TITLE = 100
"""The most characters of a title that can't be edited."""


def deployment_view(
    deployment: Deployment,
    app: App | None,
    links: Links,
    around: Around,
    newer: str | None = None,
) -> View:
    """Return the card of a deployment as it stands; the same facts make the same card.

    Args:
        app: None if it is no longer known; then nothing links to its repository.
        newer: the address of its successor's card, if there is one.
    """
    fate, name = around.fate, Text(deployment.app, APP_NAME)
    verdict = verdict_of(deployment, fate)
    commit, message = _version(deployment)
    return View(
        (Strong(name), f" {verdict}"),
        sign_now(deployment.state, fate),
        [subject] if (subject := subject_of(deployment, app, links)) else [],
        parts=_parts(deployment, app, links, around, newer),
        brief=joined(
            (name, f" {verdict}"),
            _beside((Text(commit[:7], 20),) if commit else (), message),
            _said((fate.says if fate is not None else "") or remark(deployment, fate)),
        ),
        tone=Tone.CALM
        if fate is not None and not fate.live
        else TONES.get(deployment.state, Tone.CALM),
        facts=_facts(deployment, app),
        links=places_of(deployment, app, links, around),
        actions=actions.of_deployment(deployment, around),
        why=deployment.app,
        more=links.console.deployment(deployment.id),
        name=_title(deployment),
    )


def subject_of(deployment: Deployment, app: App | None, links: Links) -> Phrase:
    """Return the branch or tag, the version, and the first line of its message."""
    commit, message = _version(deployment)
    what = commit_of(commit, app, links)
    if not what and clean(deployment.shown_image):
        what = (Code(Text(deployment.shown_image, IMAGE)),)
    return joined(ref_of(deployment.ref), _beside(what, message))


def _version(deployment: Deployment) -> tuple[str | None, str | None]:
    """Return the commit and the message of what was pushed, or would be approved."""
    if proposal_in(holds_of(deployment)) is not None:
        return version_of(deployment)
    return deployment.commit or deployment.deployed_commit, deployment.message


def _beside(what: Phrase, message: str | None) -> Phrase:
    says = visible(first_line(message), FIRST_LINE)
    return (*what, " ", *says) if what and says else what or says


def _facts(deployment: Deployment, app: App | None) -> dict[str, Phrase]:
    since, lasted = deployment.started_at, took(deployment)
    length: Phrase = (f"took {lasted}",) if lasted else ()
    if not lasted and deployment.state is State.RUNNING and since is not None:
        length = ("started ", Moment(since, form=Form.AGE))
    return {
        "Environment": visible(environment_of(app) if app else "", ENVIRONMENT),
        "Trigger": asked_by(deployment),
        "Time": joined((Moment(deployment.created_at),), length),
    }


def _title(deployment: Deployment) -> str:
    """Return app, branch or tag and commit in plain words."""
    ref = (deployment.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    which = ", ".join(filter(None, (clean(ref)[:30], (_version(deployment)[0] or "")[:7])))
    app = clean(deployment.app)[:50]
    return f"{app} ({which})" if which else app


# ── what belongs to a card ────────────────────────────────────────────────────────────────────────


def _parts(
    deployment: Deployment, app: App | None, links: Links, around: Around, newer: str | None
) -> list[Lines]:
    """Return what holds it, what would be approved, and the latest news."""
    holds, parts = holds_of(deployment), []
    if holds:
        parts.append(holds_list(holds))
    if (proposal := proposal_in(holds)) is not None:
        parts.append(proposal_list(proposed_of(proposal, app, links)))
    fate = around.fate
    told = (
        _standing(deployment, around),
        () if holds else _note(deployment, app, links, newer, fate),
    )
    if shown := [Item(one) for one in told if one]:
        parts.append(Lines("", shown, weight=Weight.ASIDE))
    return parts


def holds_list(holds: Sequence[Hold], *, rights: bool = True, most: int = MOST_HOLDS) -> Lines:
    """Return a line for each reason: what holds, until when, and which right lifts it."""
    return Lines(
        "",
        [
            Item(
                joined(
                    (Sentence(one.says, HOLD),),
                    ("until ", Moment(one.until)) if one.until is not None else (),
                    ("lifted by ", Code(Text(one.may_lift, 20))) if rights else (),
                ),
                one.gate,
            )
            for one in holds[:most]
        ],
        max(0, len(holds) - most),
    )


def proposal_list(proposed: Proposed) -> Lines:
    """Return the commit that would be approved with its author, and what it brings."""
    commit: Phrase = (Code(proposed.commit, proposed.page),)
    says = visible(proposed.says.words, proposed.says.limit)
    author = visible(proposed.author.words, proposed.author.limit)
    head = joined(
        ("To approve: ", *commit, *((" ", *says) if says else ())),
        ("by ", *author) if author else (),
    )
    return Lines("", [Item(head, Icon.MEMO), Item(_brings(proposed))])


def _brings(proposed: Proposed) -> Phrase:
    if proposed.live is None:
        return (f"{proposed.unlisted.capitalize()}.",)
    differs = (Link(Text(proposed.count, 60), proposed.compare), " since ", Code(proposed.live))
    files = [one for one in proposed.shown if clean(one.words)]
    if not files:
        return differs
    named = tuple(piece for one in files for piece in (", ", Code(one)))[1:]
    more = f" and {proposed.unshown} more" if proposed.unshown else ""
    return (*differs, ": ", *named, more)


def _standing(deployment: Deployment, around: Around) -> Phrase:
    """Return from where to where a rollback led, and what has become of what was live."""
    way = ""
    if deployment.action is Asked.ROLLBACK and deployment.served:
        start = f" from {around.left}" if around.left else ""
        way = f"rolled back{start} to {version_brought(deployment)}"
    return joined(_said(way), fate_phrase(around.fate, around.lock))


def fate_phrase(fate: Fate | None, lock: Lock | None) -> Phrase:
    """Return until when a version was live, what replaced it, and the lock that was left."""
    until: Phrase = ()
    if fate is not None and fate.until is not None:
        until = ("Until ", Moment(fate.until))
    held: Phrase = ()
    if lock is not None:
        held = (Mark(Icon.LOCK), " Locked by ", Text(lock.name, PERSON))
        held += (" until ", Moment(lock.until)) if lock.until is not None else ()
    return joined(until, _said("" if fate is None else fate.says), held)


def _note(
    deployment: Deployment, app: App | None, links: Links, newer: str | None, fate: Fate | None
) -> Phrase:
    """Return the latest news, unless the rest of the card shows it."""
    if deployment.state is State.SUPERSEDED:
        return ("Superseded by ", Link(Text("a newer deployment", 40), newer)) if newer else ()
    if deployment.state is not State.UNHEALTHY and another_commit(deployment):
        live = commit_of(deployment.deployed_commit, app, links)
        pushed = commit_of(deployment.commit, None, links)
        tense = "went" if fate is None else "is" if fate.live else "was"
        head = ": the backend builds the branch's head"
        return (Mark(Icon.WARN), " ", *live, f" {tense} live, not ", *pushed, head)
    return _said(remark(deployment, fate))


def _said(words: str, limit: int = NOTE) -> Phrase:
    return (Sentence(words, limit),) if clean(words) else ()


# ── what is told once ─────────────────────────────────────────────────────────────────────────────


def changes_view(deployment: Deployment, changes: Sequence[Change]) -> View:
    """Return quiet changes of a deployment, a line each."""
    app = Text(deployment.app, APP_NAME)
    says = [_said(capital(news(one))) or (told_verdict(one.state),) for one in changes]
    return View(
        (),
        parts=[
            _aside(joined(what, (Moment(one.at, form=Form.CLOCK),)), one.state)
            for what, one in zip(says, changes, strict=True)
        ],
        brief=tuple(piece for what in says for piece in ("\n", app, ": ", *what))[1:],
    )


def fate_view(deployment: Deployment, fate: Fate) -> View:
    """Return that a version was rolled back, or is live again."""
    what, since = _said(capital(fate.says)), fate.until
    if fate.live and fate.by is not None:
        what, since = (f"Live again: {fate.says}",), fate.by.live_at
    at: Phrase = (Moment(since, form=Form.CLOCK),) if since is not None else ()
    line = _aside(joined(what, at), sign_now(deployment.state, fate))
    return View((), parts=[line], brief=(Text(deployment.app, APP_NAME), ": ", *what))


def _aside(says: Phrase, sign: Sign) -> Lines:
    return Lines("", [Item(says, sign)], weight=Weight.ASIDE)


def failure_view(
    deployment: Deployment,
    change: Change,
    log: str,
    app: App | None,
    links: Links,
    around: Around,
    called: Phrase = (),
) -> View:
    """Return a change after which somebody must act.

    Args:
        log: the end of the build's log, if any; it says nothing of why one is unhealthy.
        called: who is called, in place of the origin.
    """
    lasted, note = took(deployment), news(change)
    verdict = f" {told_verdict(change.state)}" + (f" after {lasted}" if lasted else "")
    tail, repeated = _evidence(deployment, change, log)
    said = () if repeated else _said(note)
    name = Text(deployment.app, APP_NAME)
    by = called or asked_by(deployment)
    return View(
        (Strong(name), verdict),
        change.state,
        [joined(subject_of(deployment, app, links), by)],
        parts=[Lines("", [Item(said)])] if said else [],
        brief=joined((name, verdict), _said(note), called),
        tone=TONES.get(change.state, Tone.CALM),
        log=tail,
        links=places_of(deployment, app, links, around),
        actions=actions.of_deployment(
            deployment,
            Around(before=around.before, fate=around.fate, overtaken=around.overtaken),
            can_cancel=False,
        ),
        why=deployment.app,
        more=links.console.deployment(deployment.id),
        name=_title(deployment),
    )


def _evidence(deployment: Deployment, change: Change, log: str) -> tuple[str, bool]:
    """Return the end of the build's log, or what an unhealthy one has answered; redacted.

    Also return whether its last line already says the note.
    """
    if change.state is State.UNHEALTHY:
        seen = redact(deployment.log_tail or "")
        first, _, rest = seen.partition("\n")
        return clean_lines(rest if first in news(change) else seen).strip("\n"), False
    tail = clean_lines(failure_in(log).excerpt).strip("\n")
    return tail, redacted(change.note).strip() in tail.rpartition("\n")[2]
