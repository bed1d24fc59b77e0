"""`python -m tests.faults [PART…] [-- ARGUMENT…]`: show that the tests catch planted faults.

PART is a part of a fault's area or name; without any, all are tried. ARGUMENTs are pytest's, in
place of the usual selection. Exit codes: 0 all were caught, 1 some were not, 2 no fault fits.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.faults import FAULTS, Fault
from tests.faults.planting import Outcome, copy_in


def chosen(parts: Sequence[str]) -> list[Fault]:
    """Return the faults whose area or name contains a part; all without any."""
    return [
        one
        for one in FAULTS
        if not parts or any(part in f"{one.area} {one.name}" for part in parts)
    ]


def line(fault: Fault, outcome: Outcome) -> str:
    """Return what came of a fault, for people."""
    why = f" ({outcome.note})" if outcome.note else ""
    caught = f"caught by {outcome.caught_by}" if outcome.caught_by else f"NOT CAUGHT{why}"
    return f"{fault.area}: {fault.name}: {caught}, {outcome.took:.0f} s"


def say(text: str) -> None:
    """Write to standard output at once: a fault takes a while."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Try the faults, and print a line for each."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    faults, selection = chosen(arguments[:end]), arguments[end + 1 :]
    if not faults:
        say(f"no fault has {' or '.join(arguments[:end])} in its area or name")
        return 2
    missed = 0
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        copy_in(Path(folder).resolve() / "copy") as copy,
    ):
        for fault in faults:
            outcome = copy.try_out(fault, selection)
            missed += outcome.caught_by is None
            say(line(fault, outcome))
    say(f"{len(faults) - missed} of {len(faults)} faults are caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
