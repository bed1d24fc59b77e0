"""Faults to plant in a sound set-up, and what `doctor` finds then."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple
from unittest.mock import patch

from tests.worlds.setup import SetUp


class Plant(NamedTuple):
    """A fault, and the names of all checks that find it."""

    finds: str
    plant: Callable[[SetUp], AbstractContextManager[Any]] = lambda _made: ExitStack()
    settings: Mapping[str, str] = {}


def with_(what: Callable[[SetUp], Any], **attributes: Any) -> Callable[[SetUp], Any]:
    """Set attributes of a part of the set-up for one diagnosis."""

    def plant(made: SetUp) -> Any:
        return patch.multiple(what(made), **attributes)

    return plant


async def found_of(made: SetUp, plants: Mapping[str, Plant]) -> dict[str, str]:
    """Plant each fault alone; return the names of the checks that are not ok then."""
    found: dict[str, str] = {}
    for name, (_, plant, settings) in plants.items():
        with plant(made):
            told = await made.doctor(**settings)
        assert told.code == 1, name
        assert all(one["remedy"] for one in told.findings if one["level"] != "ok"), told.findings
        found[name] = " ".join(sorted(told.wrong))
    return found


def finds(plants: Mapping[str, Plant]) -> dict[str, str]:
    return {name: one.finds for name, one in plants.items()}
