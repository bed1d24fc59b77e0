"""Why a deployment failed: from the end of its log to one line, and the lines worth showing.

Dokploy gives no reason but in the log, whose last line is always the same sentence; what it
writes around the output of git and Docker is its own (facts.md, "Logs"). The embedded backend
writes the same frame. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.build_errors import KILLED, LONGEST, STEP, STEP_OUTPUT, bare, reason_at_the_end
from bridge.core.log_text import end_of, lines_of, shorten
from bridge.core.redaction import redact

LOG_LINES = 200
"""Lines of a log's end that hold the reason: a build tool prints its advice below the error."""

MOST_CHARACTERS = 50_000
"""Characters of that end that are looked at: a build may print a whole file in one line."""

LONGEST_REASON = 300
EXCERPT_LINES = 15
LONGEST_LINE = 240

_TELLING = 8
"""Characters from which on a line is taken for a part of a reason, and not for a bracket."""

# The shell of a remote server may write "\n" as it stands, on the line of the message before.
_CLOSING = re.compile(r"(?:\\n)?Error occurred ❌, check the logs for details\.\s*$")

_VERDICT = re.compile(
    r"^(?:Error: )?❌ (?:[\w ]{1,40} failed|\w+ Failed|Error \w+ image|Copying .* failed"
    r"|\[ERROR\] Fail to clone the repository .*)$"
    r"|^\w+ ended with exit code \d+$"
    r"|^git clone did not work; its own words are in the log(?:\..*)?$"
)
"""The backend's word that a command failed: Dokploy's, then the embedded backend's.

The command's own words stand above it, and below it only what cleans up.
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
    """Why it failed; free of secrets.

    Attributes:
        reason: one line of at most LONGEST_REASON characters, in the log's own words.
        excerpt: the end of the log, at most EXCERPT_LINES lines that hold the reason; "" where
            there is no log.
    """

    reason: str
    excerpt: str = ""


def failure_in(log: str, error: str | None = None) -> Failure:
    """Return why a deployment failed, or truly that its log does not say so.

    Args:
        log: its tail, raw, with colours and progress.
        error: the reason that the backend's record gives, which may only point to the log.
    """
    lines = _cleaned(log)
    if error and not _VERDICT.match(error) and error.strip() not in "\n".join(lines[-5:]):
        return Failure(_in_words(error), _excerpt(lines, ""))
    lines, thrown = _without_closing(lines)
    output = _without_verdicts(lines)
    if not any(map(str.strip, output)):
        return Failure(_without_output(lines))
    if thrown and output == lines:
        said, verdict = _without_query(output[-1]), ""
    else:
        said, verdict = reason_at_the_end(output)
    return Failure(_reason(_told(said, verdict) or _no_reason(output)), _excerpt(output, said))


def without_a_log(words: str) -> Failure:
    """Return a failure of which there are words, but no log."""
    return Failure(_in_words(words))


def _in_words(words: str) -> str:
    return _reason(redact(words[:MOST_CHARACTERS]))


def _cleaned(log: str) -> list[str]:
    """Return the lines as they are shown; cut off a failed query, which holds SQL."""
    text = redact("\n".join(lines_of(end_of(log, MOST_CHARACTERS))))
    lines = [shorten(line.rstrip(), LONGEST) for line in text.split("\n")]
    for number, line in enumerate(lines):
        if _QUERY.match(line):
            closing = [one for one in lines[number + 1 :] if _CLOSING.search(one)]
            return [*lines[:number], "Failed query: …", *closing[-1:]]
    return lines


def _without_closing(lines: list[str]) -> tuple[list[str], bool]:
    """Return the lines without the closing sentence, and True if an error of Dokploy's ends them.

    An empty line comes between the output of a command and the closing sentence; the backend's
    own error stands directly above it (facts.md).
    """
    kept = _stripped(lines)
    if not kept or (closing := _CLOSING.search(kept[-1])) is None:
        return kept, False
    if closing.start():
        return [*kept[:-1], kept[-1][: closing.start()]], True
    separated = closing[0].startswith("\\n") or len(kept) < 2 or not kept[-2].strip()
    return _stripped(kept[:-1]), not separated


def _without_verdicts(lines: Sequence[str]) -> list[str]:
    """Return what stands above the verdicts at the end; Compose gives two."""
    end = len(lines)
    for number in range(len(lines) - 1, max(-1, len(lines) - 10), -1):
        if _VERDICT.match(lines[number].strip()):
            end = number
    return _stripped(lines[:end])


def _without_query(line: str) -> str:
    if _QUERY.match(line):
        return "the backend's own database failed while it wrote down how the build stands"
    return line.strip()


def _without_output(lines: Sequence[str]) -> str:
    """Return what is known of a log that holds nothing but a verdict, or nothing at all."""
    if lines:
        return _reason(lines[0].strip())
    return "the build failed; its log is empty: it was cleared, or nothing was written"


def _no_reason(output: Sequence[str]) -> str:
    last = shorten(output[-1].strip(), 120)
    return f"the log gives no reason; it stops after: {last}"


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
    """Return the last lines, or those around the reason if it stands further up."""
    text = _QUOTES.sub("", "\n".join(output))
    lines = [line for line in text.split("\n") if bare(line) and not _SAYS_LITTLE.search(line)]
    shown = lines[-EXCERPT_LINES:]
    step = next((n for n, line in enumerate(shown) if STEP_OUTPUT.match(line)), 0)
    if any(_holds(line, said) for line in shown[step:]):
        shown = shown[step:]  # what stands above has been said before
    if said and not any(_holds(line, said) for line in shown):
        holding = [number for number, line in enumerate(lines) if _holds(line, said)]
        if holding:
            begin = max(0, holding[-1] - 2)
            shown = [*lines[begin : begin + EXCERPT_LINES - 2], "…", lines[-1]]
    return "\n".join(shorten(line, LONGEST_LINE) for line in shown)


def _holds(line: str, said: str) -> bool:
    """Tell whether a line is the reason, or a part of one that is put together."""
    part = bare(line)
    return said in line or (len(part) >= _TELLING and part in said)


def _stripped(lines: Sequence[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return list(lines[:end])
