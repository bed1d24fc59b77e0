"""`make tools`: install what tests take from npm, and build the descriptions that need reading."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.oracles.descriptions import TYPED
from tests.oracles.node_tools import TOOLS, Unavailable, install, install_node
from tests.oracles.typescript import typed_description


def main() -> int:
    """Install all, two at a time, with a line for each; return the exit code."""
    tools = sorted(folder.name for folder in TOOLS.iterdir() if (folder / "package.json").exists())
    typed = [tool for tools in TYPED.values() for tool in tools.values()]
    with ThreadPoolExecutor(2) as pool:
        if not _done("node", install_node):
            return 1
        installed = pool.map(lambda tool: _done(tool, lambda: install(tool)), tools)
        if not all(list(installed)):
            return 1
        read = pool.map(lambda tool: _done(f"types of {tool}", lambda: _typed(tool)), typed)
        return 0 if all(list(read)) else 1


def _typed(tool: str) -> None:
    typed_description(tool)


def _done(name: str, task: Callable[[], None]) -> bool:
    try:
        task()
    except Unavailable as why:
        sys.stdout.write(f"{name}: {why}\n")
        return False
    sys.stdout.write(f"{name}: ready\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
