"""`python -m bridge`, the same command as `dokploy-bridge`."""

import os
import sys

from bridge.cli.root import app


def main() -> None:
    """Run the command line; never returns."""
    try:
        try:
            app(prog_name="dokploy-bridge")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    main()
