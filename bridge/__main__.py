"""`python -m bridge`, the same command as `dokploy-bridge`."""

import os
import sys
from io import TextIOWrapper

from bridge.cli.root import command_line


def main() -> None:
    """Run the command line; never returns."""
    os.umask(os.umask(0o022) | 0o022)  # new files: no write for others
    _unset_empty_variables()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # which may be of an encoding without an arrow
            stream.reconfigure(errors="replace")
    try:
        try:
            command_line(*sys.argv[1:2])(prog_name="dokploy-bridge")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _unset_empty_variables() -> None:
    """Unset variables that are empty, as Compose passes optional ones on.

    For some, an empty value means something to libraries and to Git: no certificate is trusted.
    """
    for name in [name for name, value in os.environ.items() if not value]:
        del os.environ[name]


if __name__ == "__main__":
    main()
