"""Find why a deployment failed: reduce the end of its log to one line, and the lines worth showing.

Dokploy gives a reason only in the log, whose last line is always the same sentence; it adds its own
lines around the output of Git and Docker (facts.md, "Logs"). The embedded backend writes the same
frame. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.log_text import end_of, lines_of, shorten
from bridge.core.masking import NOTHING, Mask, redact

LONGEST = 1000
"""Characters of a line that are examined; the patterns need no more."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


STEP = _any(
    r'process "(?P<command>.*)" did not complete successfully: exit code: (?P<code>\d+)',
    r"The command '.*' returned a non-zero code: \d+",
)
"""A step of a Dockerfile failed: the reason is in the step's own output."""

KILLED = "137"
"""The exit code of a process killed by SIGKILL: its last line of output is not the reason."""

_DECISIVE = re.compile(
    r"no space left|\bENOSPC\b|heap out of memory|cannot allocate memory|out of memory\b",
    re.IGNORECASE,
)
"""The reason whenever printed; other errors follow from it."""

_STRONG = _any(
    r"^(?:fatal|error|ERROR|Error|panic|FATAL ERROR|FATAL)(?:\[\w+\])?: \S",
    r"^\[?(?:ERROR|error|FATAL)\]? \S",
    r"\berror(?:\[\w+\]| [A-Z]{1,6}\d+)?: \S",
    r"^(?:\w+\.)*\w*(?:Error|Exception): \S",
    r"^npm (?:ERR!|error) \S",
    r"^E: \S",
    r"\bERR_[A-Z_]+\b",
    r"^\W{0,3}[✖✘✗❌] ?\S",
    r": (?:command )?not found$",
    r"Error response from daemon: ",
    r"^\S+:\d+:\d+: \S",
    r"^\d+:\d+ +[Ee]rror\b",
    r"^\S+ \(\d+:\d+\): \S",
    r"^(?:Type error|Module not found): ",
)
"""An error by its form."""

_WEAK = re.compile(
    r"\b(?:errors?|fatal|fail(?:s|ed|ure)?|cannot|can't|could ?n[o']t|unable|not found|no such"
    r"|denied|refused|rejected|invalid|unexpected|undefined|missing|unknown|time[d ]*out|exceed\w*"
    r"|unauthorized|forbidden|did not|does not|doesn't|must|nonexistent|unhealthy|killed)\b",
    re.IGNORECASE,
)
"""An error by its words."""

_POINTER = _any(r"^error during build:$", r"^ERROR in \S+", r"^\* What went wrong:$")
"""A line that announces the reason on the next line."""

_PLACE = re.compile(r"^\.{0,2}/?(?:[\w@.-]+/)+[\w@.-]+\.\w+(?::\d+)*$")
"""The file of an error, on a separate line above it."""

_BOILERPLATE = _any(
    r"^$",
    r"^[-=*~_\s]+$",
    # These say that something failed, not why.
    r"^Error: Docker build failed$",
    r"^(?:\[\w+\] )?ERROR: failed to build: (?:exit status|executing lifecycle)",
    r"^make(?:\[\d+\])?: \*\*\* .* Error \d+$",
    r"^error: could not compile ",
    r"^(?:error|ERROR)? ?(?:ELIFECYCLE)? *Command failed with exit code \d+\.?$",
    r"^Node\.js v\d",
    r"^\[ERROR\] COMPILATION ERROR",
    r"^error: \d+ bytes of body are still expected$",
    r"^fatal: (?:Could not read from remote repository|early EOF|index-pack failed|fetch-pack: "
    r"|the remote end hung up|expected flush after ref|clone of .* failed)",
    r"^Failed to clone .*(?:Retry scheduled|a second time, aborting)$",
    r"^Please make sure you have the correct access rights$",
    r"^and the repository exists\.$",
    r"^npm (?:ERR!|error)(?: *$| (?:code |errno |syscall |path |command |workspace |location |dest "
    r"|signal |Exit status|Failed at|This is probably|There is likely|A complete log"
    r"|Lifecycle|   ?)"
    r"| \S+@\S+ \S+: `)",
    # The heading of a step, which says what it does and not how it ended; and a successful step.
    r"^(?:DONE \d[\d.]*s|CACHED)$",
    r"^\[(?:internal\] |(?:[\w.-]+ )?\d+/\d+\] )",
    # Warnings, and counts of nothing.
    r"^(?:npm )?(?:warn|WARN|[Ww]arning)\b",
    r"^\d+ warnings? found",
    r"\b(?:0|no) (?:errors?|failed|failures?)\b",
)
"""Never a reason, though it may look like one."""

_ORDINARY = _any(
    r"✅",
    r"^(?:Initializing deployment|Cloning |Submodule |Building |Starting |Preparing |Publishing )",
    r"^Checked out ",
    r"^remote: (?:Enumerating|Counting|Compressing|Total)\b",
    r"^(?:Receiving objects|Resolving deltas|Updating files|Filtering content):",
    r"^(?:#\d+ (?!ERROR)|> |=> |\$ |=+> )",
    r"^(?:Step \d+/\d+ :|-+> |Removing intermediate container)",
    r"^\S*: ?(?:Pulling from|Pulling fs layer|Waiting|Verifying|Download|Pull complete)",
    r"^(?:Pulling |Digest: |Status: )",
    r"^(?:App Name:|Build Compose|Detected:|Command:|Source Type:|Compose Type:|[╔║╚])",
)
"""Normal output."""

_PREFIX = re.compile(
    r"^(?:#\d+ )?(?:\d+\.\d+(?: |$))?(?:\[(?:builder|detector|analyzer|exporter)\] )?"
)
"""BuildKit's number and seconds, and the phases of Buildpacks."""

STEP_OUTPUT = re.compile(r"^ > \[.*\].*:$")
"""The heading above the output of the failed step, as BuildKit repeats it at the end."""

_LOOKED_AT = 80
"""Lines at the end of an output to search for the reason."""

_TRACEBACK = "Traceback (most recent call last):"
_STEP_ERROR = re.compile(r"^(#\d+) ERROR: ")
_LIFECYCLE = re.compile(r"ERROR: failed to build: executing lifecycle")
_PHASE = re.compile(r"^===> [A-Z]+$")
_LEGACY_STEP = re.compile(r"^Step \d+/\d+ :")
_REMARKS = 3
"""Lines at the end of an output to search for the failed step; remarks may follow it."""

_BECAUSE = re.compile(r"^(?:Caused by|Reasons):$")
_NUMBERED = re.compile(r"^\d+: ")


def bare(line: str) -> str:
    """Return a line of output without the builder's prefix."""
    return _PREFIX.sub("", line.strip()[:LONGEST], count=1).strip()


def is_boilerplate(line: str) -> bool:
    """Return whether a line accompanies every error of its kind, so it explains none."""
    return _BOILERPLATE.search(line) is not None


def reason_at_the_end(lines: Sequence[str]) -> tuple[str, str]:
    """Return a failed program's error, and the line with the failed step.

    Args:
        lines: its output; the last lines come from the failed part.

    Returns:
        ("", "") if the output shows no error until it stops.
    """
    end = [line.strip()[:LONGEST] for line in lines[-_LOOKED_AT:]]
    said = [line for line in end if not is_boilerplate(line)]
    if not said:
        return "", ""
    for line in reversed(said[-_REMARKS:]):
        if (step := STEP.search(line)) is not None:
            output = _step_output(lines)
            return _decisive(output) if step["code"] == KILLED else _in_a_step(output), bare(line)
    if _LIFECYCLE.search(end[-1]):
        return _in_a_step(_last_phase(end)), ""
    return _because(lines) or _nearest(said), ""


def _nearest(said: Sequence[str]) -> str:
    """Return the last line that is an error by its form or words, else the last line.

    Only lines after the last sign of success count.
    """
    latest: list[str] = []
    for line in reversed(said):
        if _ORDINARY.search(line):
            break
        latest.append(line)
    errors = (line for line in latest if _STRONG.search(line) or _WEAK.search(line))
    return next(errors, latest[0] if latest else "")


def _in_a_step(output: Sequence[str]) -> str:
    """Return the first error of a step; later ones usually follow from it."""
    said = [line for line in output if not is_boilerplate(line) and not STEP.search(line)]
    if decisive := _decisive(said):
        return decisive
    if _TRACEBACK in said:
        return _raised(said)
    for number, line in enumerate(said):
        if (pointer := _POINTER.search(line)) is not None and number + 1 < len(said):
            after = said[number + 1]
            return f"{line}: {after}" if pointer[0].startswith("ERROR in") else after
        if _STRONG.search(line):
            place = said[number - 1] if number else ""
            return f"{place}: {line}" if _PLACE.match(place) else line
    said = [line for line in said if not _ORDINARY.search(line)]
    weak = [line for line in said if _WEAK.search(line)]
    return (weak or said or [""])[-1]


def _decisive(said: Sequence[str]) -> str:
    return next((line for line in said if _DECISIVE.search(line) and not is_boilerplate(line)), "")


def _raised(said: Sequence[str]) -> str:
    """Return the exception below the last Python traceback."""
    below = said[len(said) - 1 - list(reversed(said)).index(_TRACEBACK) :]
    raised = [
        line for line in below if re.match(r"[\w.]+(?:Error|Exception|Exit|Interrupt)\b", line)
    ]
    return raised[0] if raised else said[-1]


def _step_output(lines: Sequence[str]) -> list[str]:
    """Return the output of the failed step, as BuildKit repeats it or by the step's number."""
    for number in range(len(lines) - 1, -1, -1):
        if STEP_OUTPUT.match(lines[number]):
            return _block(lines[number + 1 :])
    for line in reversed(lines):
        if (failed := _STEP_ERROR.match(line.strip())) is not None:
            own = [one for one in lines if one.startswith(f"{failed[1]} ")]
            return [bare(one) for one in own if "[" not in one.partition(" ")[2][:1]]
    begins = [number for number, line in enumerate(lines) if _LEGACY_STEP.match(line)]
    return [bare(line) for line in lines[begins[-1] if begins else -_LOOKED_AT :]]


def _last_phase(lines: Sequence[str]) -> list[str]:
    """Return the output of the phase of Buildpacks that failed."""
    begins = [number for number, line in enumerate(lines) if _PHASE.match(line)]
    return [bare(line) for line in lines[begins[-1] + 1 if begins else 0 :]]


def _block(lines: Sequence[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if line.startswith("------"):
            break
        found.append(bare(line))
    return found


def _because(lines: Sequence[str]) -> str:
    """Return an error and the list of its causes below it as one line; "" without a list."""
    last = [line.strip() for line in lines[-12:] if line.strip()]
    for number in range(len(last) - 2, 0, -1):
        if _BECAUSE.match(last[number]):
            causes = [_NUMBERED.sub("", line) for line in last[number + 1 :]]
            shown = causes[-1:] if last[number].startswith("Caused") else causes[:3]
            return f"{last[number - 1]}: {'; '.join(shown)}"
    return ""


# ── Why a deployment failed: one line, and the log lines worth showing ──────────────────────────

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

    Args:
        log: its tail, raw, with colours and progress bars.
        error: the reason in the backend's record, which may only point to the log.
        mask: hides the values of the app's variables.
    """
    lines = _cleaned(log, mask)
    if error and not _VERDICT.match(error) and error.strip() not in "\n".join(lines[-5:]):
        return Failure(_in_words(error, mask), _excerpt(lines, ""))
    lines, thrown = _without_closing(lines)
    output = _without_verdicts(lines)
    if not any(map(str.strip, output)):
        return Failure(_without_output(lines))
    if thrown and output == lines:
        said, verdict = _without_query(output[-1]), ""
    else:
        said, verdict = reason_at_the_end(output)
    return Failure(_reason(_told(said, verdict) or _no_reason(output)), _excerpt(output, said))


_BY_ITSELF = _any(r"^fatal: \S", r"^Error: ❌ ", r"^❌ (?:\[ERROR\]|[\w -]{1,40} failed$)")
"""The beginnings of failure lines by Dokploy or Git that an interrupted build lacks."""


def failed_by_itself(log: str) -> bool:
    """Return whether a log shows a failure other than an interruption (facts.md, "killBuild")."""
    return any(_BY_ITSELF.match(line.strip()) for line in log.splitlines())


def without_a_log(words: str, mask: Mask = NOTHING) -> Failure:
    """Return a failure with an error text but no log."""
    return Failure(_in_words(words, mask))


def _in_words(words: str, mask: Mask) -> str:
    return _reason(redact(words[:MOST_CHARACTERS], mask))


def _cleaned(log: str, mask: Mask) -> list[str]:
    """Return the lines as they are shown; remove a failed query, which contains SQL."""
    text = redact("\n".join(lines_of(end_of(log, MOST_CHARACTERS))), mask)
    lines = [shorten(line.rstrip(), LONGEST) for line in text.split("\n")]
    for number, line in enumerate(lines):
        if _QUERY.match(line):
            closing = [one for one in lines[number + 1 :] if _CLOSING.search(one)]
            return [*lines[:number], "Failed query: …", *closing[-1:]]
    return lines


def _without_closing(lines: list[str]) -> tuple[list[str], bool]:
    """Return the lines without the closing sentence, and whether an error of Dokploy's ends them.

    An empty line separates the output of a command from the closing sentence; the backend's own
    error is directly above it (facts.md).
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
    """Return the last lines, or those around the reason if it is further up."""
    text = _QUOTES.sub("", "\n".join(output))
    lines = [line for line in text.split("\n") if bare(line) and not _SAYS_LITTLE.search(line)]
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
