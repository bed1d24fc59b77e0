"""Several people lock the same scope at the same moment: `lock_at_once.py ROUNDS SCOPE PERSON…`.

Each is a process of its own that runs the command line, forked once all is imported, so that they
meet at the database. Prints each person's exit code, output and errors, by round, as JSON.
"""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from bridge.__main__ import main
from tests.worlds.processes import import_all


def locked(scope: str, people: list[str], folder: Path) -> dict[str, Any]:
    """Return what each is told; all begin when the last one is there."""
    found = run([(one, ["lock", scope, "--reason", f"{one}'s work"]) for one in people], folder)
    run([(people[0], ["unlock", scope])], folder)
    return found


def run(commands: list[tuple[str, list[str]]], folder: Path) -> dict[str, Any]:
    begun, begin = os.pipe()
    person_of = {_forked(*one, folder, begun, begin): one[0] for one in commands}
    os.close(begun)
    os.close(begin)
    codes = {}
    for _ in commands:
        process, status = os.wait()
        codes[person_of[process]] = os.waitstatus_to_exitcode(status)
    return {
        one: [code, *((folder / f"{one}.{name}").read_text() for name in ("out", "err"))]
        for one, code in codes.items()
    }


def _forked(person: str, words: list[str], folder: Path, begun: int, begin: int) -> int:
    if process := os.fork():
        return process
    code: Any = 1
    with contextlib.suppress(BaseException):
        os.close(begin)
        os.environ["LOGNAME"] = person
        for stream, name in ((1, "out"), (2, "err")):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(folder / f"{person}.{name}", flags), stream)
        sys.argv = ["dokploy-bridge", *words]
        os.read(begun, 1)
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    rounds, scope, *people = sys.argv[1:]
    import_all()
    with tempfile.TemporaryDirectory() as folder:
        found = [locked(scope, people, Path(folder)) for _ in range(int(rounds))]
    sys.stdout.write(json.dumps(found))
