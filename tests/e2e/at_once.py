"""One command in many processes at the same moment: `at_once.py COUNT WORD…`.

They are forked once all is imported, so that they meet at the database, and not one after the
other as each gets done with importing. Prints their exit codes.
"""

import os
import sys

from bridge.__main__ import main
from tests.worlds.processes import import_all


def forked(count: int) -> list[int]:
    """The exit codes of so many, which all begin when the last one is there."""
    begun, begin = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(begin)
            os.read(begun, 1)
            main()
    os.close(begin)
    return [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(count)]


if __name__ == "__main__":
    number = int(sys.argv.pop(1))
    import_all()
    sys.stdout.write(f"{forked(number)}\n")
