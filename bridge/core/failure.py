"""Find why a deployment failed: reduce the end of its log to one line, and the lines worth showing.

Dokploy gives a reason only in the log, whose last line is always the same sentence; it adds its own
lines around the output of Git and Docker (docs/dokploy.md, "Logs"). The embedded backend writes the
same frame. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.failing_line import (
    KILLED,
    LONGEST,
    STEP,
    STEP_OUTPUT,
    any_of,
    bare,
    reason_at_the_end,
)
from bridge.core.log_text import end_of, lines_of, shorten
from bridge.core.masking import HIDDEN, NOTHING, Mask, redact

LOG_LINES = 200
"""Lines at a log's end to search: a build tool prints advice below the error."""

MOST_CHARACTERS = 50_000
"""Characters of that end to search: a build may print a whole file as one line."""

LONGEST_REASON = 300
EXCERPT_LINES = 15
LONGEST_LINE = 240

_TELLING = 8
"""Characters that a line needs to count as part of a reason, and not as a mere bracket."""

# The shell of a remote server may write a literal "\n", on the line of the previous message.
_CLOSING = re.compile(r"(?:\\n)?Error occurred ❌, check the logs for details\.\s*$")

_VERDICT = re.compile(
    r"^(?:Error: )?❌ (?:[\w ]{1,40} failed|\w+ Failed|Error \w+ image|Copying .* failed"
    r"|\[ERROR\] Fail to clone the repository .*)$"
    r"|^\w+ ended with exit code \d+$"
    r"|^git clone did not work; its own words are in the log(?:\..*)?$"
)
"""The backend's line that a command failed: Dokploy's, then the embedded backend's.

The command's own output is above it, and only that of the clean-up below.
"""

_QUERY = re.compile(r"^Failed query: ")
_QUOTES = re.compile(r"^\S+:\d+\n-{20}\n(?:.*\n)*?-{20}$", re.MULTILINE)
"""The lines of a Dockerfile that BuildKit quotes below the output of a step."""

_SAYS_LITTLE = re.compile(
    r"^ \d+ warnings? found|^ - \w+: |^View build details: "
    r"|^remote: (?:Enumerating|Counting|Compressing|Total)\b"
)

_EXITS = {"127": "command not found", KILLED: "killed, often for lack of memory"}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it failed, without secrets.

    Attributes:
        reason: one line of at most LONGEST_REASON characters, in the log's own words.
        excerpt: at most EXCERPT_LINES lines of the log's end, with the reason; "" without a log.
    """

    reason: str
    excerpt: str = ""


def failure_in(log: str, error: str | None = None, mask: Mask = NOTHING) -> Failure:
    """Return why a deployment failed, or that its log does not say.

    The line that says it is chosen before anything is hidden, so that hiding chooses no other.

    Args:
        log: its tail, raw, with colours and progress bars.
        error: the reason in the backend's record, which may only point to the log.
    """
    lines = _cleaned(log)
    if error and not _VERDICT.match(error) and error.strip() not in "\n".join(lines[-5:]):
        return Failure(_in_words(error, mask), _excerpt(_masked(lines, mask), ""))
    lines, thrown = _without_closing(lines)
    output = _without_verdicts(lines)
    if not any(map(str.strip, output)):
        return Failure(_in_words(_without_output(lines), mask))
    shown, examined = _masked(output, mask), [shorten(line, LONGEST) for line in output]
    if thrown and output == lines:
        told = (_without_query(examined[-1]), "")
    else:
        told = reason_at_the_end(examined)
    hidden = _hidden(examined, shown)
    said, verdict = (_without(hidden, words, mask) for words in told)
    last = shorten(shown[-1].strip(), 120)
    reason = _told(said, verdict) or f"the log gives no reason; it stops after: {last}"
    return Failure(_reason(reason), _excerpt(shown, said))


def failing_line(lines: Sequence[str], reason: str) -> int | None:
    """Return which line of a log is its reason, or most of a composed one; None if none is."""
    told = _reason(reason)
    said = {n: " ".join(bare(line).split()) for n, line in enumerate(lines) if line.strip()}
    holding = [n for n, line in said.items() if _holds(line, told)]
    return max(holding, key=lambda n: (min(len(said[n]), len(told)), n), default=None)


_BY_ITSELF = any_of(r"^fatal: \S", r"^Error: ❌ ", r"^❌ (?:\[ERROR\]|[\w -]{1,40} failed$)")
"""The beginnings of failure lines by Dokploy or Git that an interrupted build lacks."""


def failed_by_itself(log: str) -> bool:
    """Return whether a log shows a failure other than an interruption.

    Source: docs/dokploy.md, "Cancelling" (`killBuild`).
    """
    return any(_BY_ITSELF.match(line.strip()) for line in log.splitlines())


def without_a_log(words: str, mask: Mask = NOTHING) -> Failure:
    """Return a failure with an error text but no log."""
    return Failure(_in_words(words, mask))


def _in_words(words: str, mask: Mask) -> str:
    return _reason(redact(words[:MOST_CHARACTERS], mask))


def _cleaned(log: str) -> list[str]:
    """Return the lines as they are searched; remove a failed query, which contains SQL."""
    lines = [line.rstrip() for line in lines_of(end_of(log, MOST_CHARACTERS))]
    for number, line in enumerate(lines):
        if _QUERY.match(line):
            closing = [one for one in lines[number + 1 :] if _CLOSING.search(one)]
            return [*lines[:number], "Failed query: …", *closing[-1:]]
    return lines


def _masked(lines: Sequence[str], mask: Mask) -> list[str]:
    """Return the same lines as they are shown: a secret may take several."""
    text = redact("\n".join(lines), mask)
    return [shorten(line.rstrip(), LONGEST) for line in text.split("\n")]


def _hidden(lines: Sequence[str], shown: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return lines with what is hidden in each, and what stands in its place; the longest first."""
    parts = [
        (line, *_apart(line, now)) for line, now in zip(lines, shown, strict=True) if line != now
    ]
    return sorted(parts, key=lambda part: len(part[1]), reverse=True)


def _apart(line: str, shown: str) -> tuple[str, str]:
    """Return two texts without what both begin and end with."""
    begin = _shared(line, shown)
    line, shown = line[begin:], shown[begin:]
    end = _shared(line[::-1], shown[::-1])
    return line[: len(line) - end], shown[: len(shown) - end]


def _shared(one: str, other: str) -> int:
    differs = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differs, min(len(one), len(other)))


def _without(hidden: Sequence[tuple[str, str, str]], words: str, mask: Mask) -> str:
    """Return words of lines without what is hidden in these lines, and without secrets."""
    said = words
    for line, part, instead in hidden:
        if part and _holds(line, said):
            words = words.replace(part, instead)
    return redact(words, mask)


def _without_closing(lines: list[str]) -> tuple[list[str], bool]:
    """Return the lines without the closing sentence, and whether an error of Dokploy's ends them.

    An empty line separates the output of a command from the closing sentence; the backend's own
    error is directly above it (docs/dokploy.md).
    """
    kept = _stripped(lines)
    if not kept or (closing := _CLOSING.search(kept[-1])) is None:
        return kept, False
    if closing.start():
        return [*kept[:-1], kept[-1][: closing.start()]], True
    separated = closing[0].startswith("\\n") or len(kept) < 2 or not kept[-2].strip()
    return _stripped(kept[:-1]), not separated


def _without_verdicts(lines: Sequence[str]) -> list[str]:
    """Return the lines above the final verdicts; Compose writes two."""
    end = len(lines)
    for number in range(len(lines) - 1, max(-1, len(lines) - 10), -1):
        if _VERDICT.match(lines[number].strip()):
            end = number
    return _stripped(lines[:end])


def _without_query(line: str) -> str:
    if _QUERY.match(line):
        return "the backend's own database failed while it recorded the state of the build"
    return line.strip()


def _without_output(lines: Sequence[str]) -> str:
    """Return the reason for a log that contains only a verdict, or nothing."""
    if lines:
        return _reason(lines[0].strip())
    return "the build failed; its log is empty: it was cleared, or nothing was written"


def _told(said: str, verdict: str) -> str:
    """Return the reason with the step that failed; explain its exit code if it gives none."""
    step = STEP.search(verdict)
    if step is None:
        return said
    if not said:
        known = _EXITS.get(step["code"])
        return f"{verdict}: {known}" if known else verdict
    said = shorten(said, LONGEST_REASON * 2 // 3)
    return f"{said} ({shorten(step[0], LONGEST_REASON - len(said) - 3)})"


def _reason(text: str) -> str:
    return shorten(" ".join(text.split()), LONGEST_REASON)


def _excerpt(output: Sequence[str], said: str) -> str:
    """Return the last lines, or those around the reason if it is further up."""
    text = _QUOTES.sub("", "\n".join(output))
    lines = [line for line in text.split("\n") if bare(line) and not _SAYS_LITTLE.search(line)]
    pairs = zip(lines, ["", *lines], strict=False)  # two hidden whole, as the lines of a key are
    lines = [one for one, before in pairs if not bare(one) == HIDDEN == bare(before)]
    shown = lines[-EXCERPT_LINES:]
    step = next((n for n, line in enumerate(shown) if STEP_OUTPUT.match(line)), 0)
    if any(_holds(line, said) for line in shown[step:]):
        shown = shown[step:]  # the lines above repeat earlier ones
    if said and not any(_holds(line, said) for line in shown):
        holding = [number for number, line in enumerate(lines) if _holds(line, said)]
        if holding:
            begin = max(0, holding[-1] - 2)
            shown = [*lines[begin : begin + EXCERPT_LINES - 2], "…", lines[-1]]
    return "\n".join(shorten(line, LONGEST_LINE) for line in shown)


def _holds(line: str, said: str) -> bool:
    """Return whether a line is the reason, or part of a composed one."""
    part = bare(line)
    return said in line or (len(part) >= _TELLING and part in said)


def _stripped(lines: Sequence[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return list(lines[:end])
