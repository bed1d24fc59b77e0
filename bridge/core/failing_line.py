"""Choose the line at the end of a build's output that says why it failed.

Docker, BuildKit, Buildpacks and the programs they run end their output each in their own way. Pure.
"""

import re
from collections.abc import Sequence

LONGEST = 1000
"""Characters of a line that are examined; the patterns need no more."""


def any_of(*patterns: str) -> re.Pattern[str]:
    """Return a pattern for whatever one of these finds."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


STEP = any_of(
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

_STRONG = any_of(
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

_POINTER = any_of(r"^error during build:$", r"^ERROR in \S+", r"^\* What went wrong:$")
"""A line that announces the reason on the next line."""

_PLACE = re.compile(r"^\.{0,2}/?(?:[\w@.-]+/)+[\w@.-]+\.\w+(?::\d+)*$")
"""The file of an error, on a separate line above it."""

_BOILERPLATE = any_of(
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

_ORDINARY = any_of(
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
