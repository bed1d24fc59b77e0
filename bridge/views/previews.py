"""Previews in words and for programs: lists, and the outcome of an act."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.core.chat.calls import Call
from bridge.core.lifecycle import Deployment
from bridge.core.masking import redact
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.previews.preview import Preview, PreviewState, shown_state, still_served
from bridge.core.previews.verdict import Act
from bridge.views.deployments import APP_NAME, COMMIT, NOTE, PERSON, duration, visible
from bridge.views.links import address_of
from bridge.views.pull_requests import ACTING, preview_row
from bridge.views.values import (
    Code,
    Icon,
    Link,
    Look,
    Moment,
    Phrase,
    Sentence,
    Strong,
    Text,
    Value,
    iso,
    joined,
    many,
)
from bridge.views.view import Column, Item, Row, Table, View

TITLE, ABOUT = 64, 600
"""The most characters of a pull request's number and title, and of a preview's reason."""

FEW = 5
"""Previews that are listed with buttons."""

COLUMNS = (
    *map(Column, ("preview", "state", "commit", "active", "ends")),
    Column("about it", long=True),
)

NONE = "there are no previews; `--all` lists the pull requests that have none, and why"
NONE_AT_ALL = (
    "no pull request is known for a preview; the rule `previews` in bridge.yaml gives an app some"
)

NATIVE_LOOKS = {
    NativeState.WAITING: Look.WAITS,
    NativeState.BUILDING: Look.BUILDS,
    NativeState.UP: Look.UP,
    NativeState.FAILED: Look.FAILED,
    NativeState.CANCELLED: Look.GONE,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A preview with its newest deployment and what its app serves.

    Attributes:
        newest: the newest deployment of its own app; None before the first.
        served: what that app serves; None if that is not known.
        policy: how pull requests of the previewed app are previewed.
        offers: what the person who looks may ask of it.
    """

    preview: Preview
    newest: Deployment | None = None
    served: Deployment | None = None
    policy: PreviewPolicy | None = None
    offers: Sequence[Act] = ()

    @property
    def ends(self) -> float | None:
        """When it ends for want of a push; None if it does not."""
        return self.preview.idle_at(self.policy)

    @property
    def state(self) -> str:
        """The state that people want to know: whether its address works."""
        return str(shown_state(self.preview, self.newest))

    @property
    def why(self) -> str:
        """The reason why it waits, shows an older version, or is missing; "" if all is well."""
        version = still_served(self.preview, self.newest, self.served)
        still = f"{version} is still up" if version else ""
        return "; ".join(filter(None, (still, why_of(self.preview))))

    @property
    def form(self) -> dict[str, Any]:
        """The preview as JSON has it."""
        return preview_form(self.preview, self.policy, self.newest, self.served)


def why_of(preview: Preview) -> str:
    """Return what keeps a preview, or why there is none; "" if all is well."""
    if preview.state is PreviewState.UP and not preview.failures:
        return ""
    return redact(preview.note) or preview.reason


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


def listed(
    ours: Sequence[Standing],
    native: Sequence[NativePreview],
    now: float,
    *,
    every: bool,
) -> View:
    """List previews.

    Args:
        native: those that backends make by themselves.
        every: pull requests without a preview are listed as well.
    """
    data = [*(one.form for one in ours), *map(native_form, native)]
    if not data:
        none = NONE_AT_ALL if every else NONE
        return View((Sentence(none, NOTE),), data=data, empty=True)
    few = len(ours) <= FEW
    rows = [_our_row(one, one.offers if few else (), now) for one in ours]
    table = Table(COLUMNS, [*rows, *map(_native_row, native)])
    return View((many(len(data), "preview"),), parts=[table], hints=[ACTING], data=data)


def _our_row(one: Standing, acts: Sequence[Act], now: float) -> Row:
    preview, pull, ends = one.preview, one.preview.pull, one.ends
    item = preview_row(preview, one.newest, one.served).item(acts)
    until: Phrase = ("ends ", Moment(ends), " without a push") if ends is not None else ()
    words = (preview.name, one.state, pull.head_sha[:7])
    about = "; ".join(filter(None, (preview.url, one.why)))
    says: list[Phrase | Item] = [item, joined(_pull(pull.number, pull.title, pull.url), until)]
    return _row(words, preview.active_at, _left(ends, now), about, says)


def _left(ends: float | None, now: float) -> str:
    if ends is None:
        return ""
    return f"in {duration(ends - now)}" if ends > now else "now"


def _native_row(one: NativePreview) -> Row:
    address, commit = address_of(one.url), (one.commit or "")[:7]
    says = joined(
        (Strong(Text(one.app, APP_NAME)), f" {one.state}"),
        (address,) if address else (),
        (Code(Text(commit, COMMIT)),) if commit else (),
    )
    whose: Phrase = (Link(Text(one.whose, PERSON), one.page),)
    pull = joined(_pull(one.number, one.title, one.pull_url), whose)
    about = "; ".join(filter(None, (one.url, one.whose)))
    words = (one.name, str(one.state), commit)
    return _row(words, one.active_at, "", about, [Item(says, NATIVE_LOOKS[one.state]), pull])


def _row(
    words: tuple[str, str, str], at: float, left: str, about: str, says: Sequence[Phrase | Item]
) -> Row:
    """Return a row; `words`: its name, state and commit; `left`: the time until it ends."""
    told: Phrase = (": ", Text(about, ABOUT)) if about else ()
    name, state, commit = words
    return Row(
        (
            (Text(name, APP_NAME),),
            (state,),
            (Text(commit, COMMIT),),
            (Moment(at, since=True),),
            (left,),
            (Text(about, ABOUT),),
        ),
        line=(Text(" ".join(filter(None, words)), ABOUT), " since ", Moment(at, since=True), *told),
        says=says,
    )


def _pull(number: int, title: str, page: str | None) -> Phrase:
    return (Link(Text(f"#{number} {title}", TITLE), page),)


# ── what was done ─────────────────────────────────────────────────────────────────────────────────


def stopped(one: Standing) -> View:
    """Say that a preview is removed."""
    return _done(one, "Stopped ", _name(one), "; a push or `previews extend` starts it again")


def stopped_before(one: Standing) -> View:
    """Say that there was nothing left to do."""
    return View((_name(one), " was stopped before; a push starts it again"), data=one.form)


def extended(one: Standing) -> View:
    """Say that a preview stays."""
    until: Phrase = (" until ", Moment(one.ends)) if one.ends is not None else ()
    return _done(one, "Extended ", _name(one), ": it stays", *until, " without a push")


def approved(one: Standing) -> View:
    """Say which commit of a fork is built."""
    return _done(one, "Approved ", *_commit(one.preview), ": ", _name(one), " is built")


def which_commit(preview: Preview, approve: Call) -> View:
    """Say which commit an approval would be for; `approve`: the call that names it."""
    at = (Text(preview.label, APP_NAME), " is at ", *_commit(preview))
    look = ". Look at it first: it runs on your server"
    return View(("Which commit? ", *at, look), offers=(approve,), refused=True)


def _done(one: Standing, *head: str | Value) -> View:
    return View(head, Icon.WELL, data=one.form)


def _name(one: Standing) -> Strong:
    return Strong(Text(one.preview.label, APP_NAME))


def _commit(preview: Preview) -> Phrase:
    author = visible(preview.pull.author, PERSON)
    by: Phrase = (" of ", *author) if author else ()
    return (Code(Text(preview.pull.head_sha[:12], COMMIT)), *by)


# ── for programs ──────────────────────────────────────────────────────────────────────────────────


def preview_form(
    one: Preview,
    policy: PreviewPolicy | None,
    newest: Deployment | None,
    served: Deployment | None = None,
) -> dict[str, Any]:
    """Return a preview as JSON has it.

    Args:
        newest: the newest deployment of its own app; None before the first.
        served: what that app serves; None if that is not known.
    """
    return {
        "id": one.id,
        "made_by": "bridge",
        "name": one.name,
        "app": one.app,
        "app_id": one.app_id,
        "pull_request": one.pull.number,
        "pull_request_url": one.pull.url,
        "title": one.pull.title,
        "author": one.pull.author,
        "fork": not one.pull.own,
        "state": str(shown_state(one, newest)),
        "reason": str(one.reason),
        "note": redact(one.note),
        "url": one.url,
        "commit": one.pull.head_sha,
        "asked_commit": one.asked,
        "approved_commit": one.approved,
        "approved_by": one.approver or None,
        "preview_app_id": one.made,
        "deployment_state": newest and str(newest.state),
        "live_commit": served and served.deployed_commit,
        "created_at": iso(one.created_at),
        "active_at": iso(one.active_at),
        "idle_at": iso(one.idle_at(policy)),
    }


def native_form(one: NativePreview) -> dict[str, Any]:
    """Return a preview of a backend's own as JSON has it: the same keys, null if untold."""
    return dict.fromkeys(_UNTOLD) | {
        "id": one.id,
        "made_by": one.maker.lower(),
        "name": one.name,
        "app": one.app,
        "app_id": one.app_id,
        "pull_request": one.number,
        "pull_request_url": one.pull_url,
        "title": one.title,
        "state": str(one.state),
        "reason": "native",
        "note": f"{one.whose}: {one.page}" if one.page else one.whose,
        "url": one.url,
        "commit": one.commit,
        "active_at": iso(one.active_at),
    }


_UNTOLD = (
    *("author", "fork", "asked_commit", "approved_commit", "approved_by", "preview_app_id"),
    *("deployment_state", "live_commit", "created_at", "idle_at"),
)
