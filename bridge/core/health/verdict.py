"""Tell from repeated looks whether a deployment is healthy, and show what an unhealthy one said."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.log_text import lines_of, shorten
from bridge.core.masking import Mask, redact
from bridge.core.policies import VerifyPolicy


class Health(StrEnum):
    """What the looks at a deployment have shown so far."""

    UNDECIDED = "undecided"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNTOLD = "untold"  # the looks could not show it


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at a deployment.

    Attributes:
        healthy: None if the look could not show it.
        says: what was asked and what came, for people.
        body: the beginning of an unhealthy answer's body.
    """

    healthy: bool | None
    says: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What all looks together have shown.

    Attributes:
        bad: the newest unhealthy look's words; None if there was none.
        body: what was answered with it.
        blind: the newest look's words that showed nothing; None if there was none.
        well: the newest healthy look's words; None if there was none.
        last: whether the newest look that showed anything was healthy.
    """

    in_a_row: int = 0
    looks: int = 0
    bad: str | None = None
    body: str = ""
    blind: str | None = None
    well: str | None = None
    last: bool | None = None

    def after(self, sighting: Sighting) -> "Tally":
        one_more = replace(self, looks=self.looks + 1)
        if sighting.healthy is None:
            return replace(one_more, blind=sighting.says)
        if sighting.healthy:
            well = sighting.says
            return replace(one_more, in_a_row=self.in_a_row + 1, well=well, last=True)
        bad, body = sighting.says, sighting.body
        return replace(one_more, in_a_row=0, bad=bad, body=body, last=False)


def judge_health(policy: VerifyPolicy, tally: Tally, seconds: float) -> tuple[Health, str]:
    """Return whether a deployment is healthy after so many seconds of looking, and what shows it.

    It may look on for up to twice `within` while the newest looks are healthy: they only lack their
    number. A look that showed nothing does not count, neither for nor against it.
    """
    if tally.in_a_row >= policy.consecutive:
        often = f", {tally.in_a_row} times in a row" if tally.in_a_row > 1 else ""
        return Health.HEALTHY, f"{tally.well or ''}{often}"
    if seconds < policy.within or (tally.last and seconds < 2 * policy.within):
        return Health.UNDECIDED, ""
    if tally.last is False and tally.bad is not None:
        return Health.UNHEALTHY, tally.bad
    if tally.last and tally.bad is not None:
        return Health.UNHEALTHY, f"it is healthy only now and then; {tally.bad}"
    return Health.UNTOLD, tally.blind or "it was looked at too seldom"


# ── what an unhealthy deployment has shown ───────────────────────────────────────────────────────

ANSWER_LINES = 10
"""Lines of an answer that are shown."""

OUTPUT_LINES = 20
"""Lines of a container's output that are shown."""

LONGEST_LINE = 200

PRINTED = "printed by its container:"

_EXAMINED = 1 << 14
"""Characters of an answer that are examined."""

_CERTAINLY_WHOLE = 1 << 13
"""Bytes of an answer of which nothing was left unread."""

_LONGEST_SECRET = 4096

_UNREAD = re.compile(r"<(script|style|head)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<!?/?[a-z][^<>]*>", re.IGNORECASE)


def evidence_of(says: str, body: str, output: str, mask: Mask) -> str:
    """Return what a look at an unhealthy deployment has shown.

    Args:
        says: what was asked and what came, in one line.
        body: the beginning of the answer's body; "" without one.
        output: the end of what its container printed; "" if that is unknown.
    """
    answered = _lines(_text_of(_beginning(body, mask)), mask)[:ANSWER_LINES]
    printed = _lines(output, mask)[-OUTPUT_LINES:]
    return "\n".join([says, *answered, *([PRINTED, *printed] if printed else [])])


def _beginning(body: str, mask: Mask) -> str:
    """Return the beginning of an answer without secrets, nor the rest where one may be cut."""
    shown = redact(body[:_EXAMINED], mask)
    is_whole = len(body.encode(errors="replace")) < _CERTAINLY_WHOLE
    return shown if is_whole else shown[:-_LONGEST_SECRET]


def _lines(text: str, mask: Mask) -> list[str]:
    lines = (line.rstrip() for line in lines_of(redact(text, mask)))
    return [shorten(line, LONGEST_LINE) for line in lines if line]


def _text_of(body: str) -> str:
    """Return an answer as people read it: of a page, the text without its tags."""
    if not body.lstrip().startswith("<"):
        return body
    return _TAG.sub("", _UNREAD.sub("", body))
