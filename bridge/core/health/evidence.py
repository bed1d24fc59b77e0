"""The evidence that a deployment is unhealthy: what was answered, and what its container printed.

Neither is the bridge's own text, so secrets are hidden, and it is cut.
"""

import re

from bridge.core.log_text import lines_of, shorten
from bridge.core.masking import Mask, redact

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
        mask: hides the values of the app's variables.
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
