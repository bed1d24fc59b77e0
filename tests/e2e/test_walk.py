"""The walk of a push in `docs/architecture.md` names the files that are handed it, and no other."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import bridge
from tests.chaos.recording_backend import push_payload, recording_backend
from tests.worlds.bridge import running_world
from tests.worlds.embedded import until

PACKAGE = Path(bridge.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "architecture.md").read_text()
BEFORE, AFTER = "e" * 40, "5c0ffee" * 5 + "5c0ff"
ARRIVES, ENDS = "web/fast_webhooks.py", "backends/dokploy/client.py"

MOST = 20
"""Files that somebody has to read who wants to know the whole walk."""


class Walk:
    """The files of the package that are handed a push, in the order in which they are.

    A function is handed it in an argument: as bytes, or in a record that knows its commit. Words
    of it, as a title, a list of commits or the columns of a row, are not the push. A record that
    completes itself when it is made is handed nothing.
    """

    def __init__(self, commit: str) -> None:
        self._commit = commit
        self.files: list[str] = []
        self.begun = self.ended = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Be told by the interpreter that a function is entered."""
        code = frame.f_code
        if event != "call" or not self.begun or self.ended:
            return
        if not code.co_filename.startswith(f"{PACKAGE}/") or code.co_name == "__post_init__":
            return
        file = str(Path(code.co_filename).relative_to(PACKAGE))
        self.ended = file == ENDS and code.co_name == "deploy"
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = [frame.f_locals.get(name) for name in names]
        if self.ended or (file not in self.files and any(map(self._holds, given))):
            self.files.append(file)

    def _holds(self, value: Any, depth: int = 4) -> bool:
        match value:
            case bytes() | bytearray() | memoryview():
                return self._commit.encode() in bytes(value)
            case list() | tuple() | set() | frozenset():
                return any(self._holds(one, depth) for one in list(value))
            case _ if is_dataclass(value):
                inside = [getattr(value, one.name, None) for one in fields(value)]
            case _:
                return False
        told = self._commit in [one for one in inside if isinstance(one, str)]
        return told or (depth > 0 and any(self._holds(one, depth - 1) for one in inside))


@contextmanager
def followed(walk: Walk) -> Iterator[None]:
    """Tell it of every function that this thread and new ones enter."""
    threading.setprofile(walk)
    sys.setprofile(walk)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def on_the_page() -> tuple[list[str], list[str]]:
    """The files that the page names until the answer, and those from then on."""
    section = PAGE.partition("## The walk of a push\n")[2].partition("\n## ")[0]
    answered, _, deploys = section.partition("Before the backend is called")
    assert deploys
    station = re.compile(r"^\d+\. `([a-z_/]+\.py)`:", re.MULTILINE)
    return station.findall(answered), station.findall(deploys)


async def test_the_page_names_the_files_that_are_handed_a_push(tmp_path: Path) -> None:
    walk = Walk(AFTER)
    answered, deploys = on_the_page()

    async def ended() -> bool:
        return walk.ended

    with followed(walk):
        async with recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend:
            settings: dict[str, Any] = {
                "BRIDGE_DOKPLOY_URL": backend.url,
                "BRIDGE_DOKPLOY_API_KEY": "key",
            }
            async with running_world(tmp_path / "bridge", **settings) as world:
                await until(world.stores.journal.apps, len)
                walk.begun = True
                answer = await world.hook("github", push_payload(BEFORE, AFTER, {"app-0"}))
                await until(ended, bool)

    assert answer.status_code == 202
    assert walk.files[0] == ARRIVES
    assert walk.files[: len(answered)] == answered
    assert sorted(walk.files) == sorted([*answered, *deploys])
    assert len(walk.files) <= MOST
