"""The facts of a change of an app's configuration, for any chat."""

from bridge.core.configuration.difference import STORED
from bridge.core.configuration.fields import SECTIONS
from bridge.core.configuration.plan import Change
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import DONE, Audited, Stage, Subscription


def note_in(subscription: Subscription, snapshot: Snapshot) -> Audited | None:
    """Return the change that a subscription's place means: by number, or by its delivery."""
    place = subscription.place
    if "number" in place:
        return next((one for one in snapshot.audited if one.number == place["number"]), None)
    return next((one for one in snapshot.audited if one.seq == place["seq"]), None)


def was_made(note: Audited) -> bool:
    """Return whether the app's configuration differs now, as far as is known."""
    return note.result.stage in (Stage.DONE, Stage.PARTLY)


def undone_by(note: Audited, snapshot: Snapshot) -> Audited | None:
    """Return the change that undid another."""
    of_it = (one for one in snapshot.audited if one.undoes == note.number)
    return next((one for one in of_it if one.result == DONE), None)


_PARTS = {
    "the source": {Change.SET_SOURCE, Change.DISCONNECT, Change.UNDO_SOURCE},
    "the build": {Change.SET_BUILD, Change.UNDO_BUILD},
    "the variables": {Change.SET_VARIABLES, Change.UNDO_VARIABLES},
}


def did(note: Audited) -> str:
    """Return what somebody did, e.g. "undid a change of the build"."""
    parts = (part for part, changes in _PARTS.items() if note.what in changes)
    part = next(parts, "the configuration")
    if note.undoes is not None:
        return f"undid a change of {part}"
    return f"{'disconnected' if note.what == Change.DISCONNECT else 'changed'} {part}"


def called(field: str) -> str:
    """Return a field's name for people; a variable's own name, a stored field with its source."""
    if field.partition(".")[0] in SECTIONS:
        return field
    if field.startswith(STORED):
        return f"{field.removeprefix(STORED).replace('.', ' ').replace('_', ' ')} (not in use)"
    return field.removeprefix("rules.").replace("_", " ")
