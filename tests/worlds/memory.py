"""How much memory a process has."""

import contextlib
from pathlib import Path


def resident(pid: int, parent: bytes = b"") -> int:
    """Bytes of memory that a process and all that it started have; 0 where it is gone.

    What two share counts once (`Pss`): Python itself and its libraries. One that was started in
    this very moment has its parent's pages, not its own.
    """
    total = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        if (program := Path(f"/proc/{pid}/cmdline").read_bytes()) == parent:
            return 0
        shares = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = [line.split()[1] for line in shares.splitlines() if line.startswith("Pss:")]
        total = int(found[0]) * 1024 if found else 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += resident(int(child), program)
    return total
