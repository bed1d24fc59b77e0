"""Every planted bug still finds its target, so no proof can fail for another cause."""

from typing import Any

import pytest

from tests.chaos import planted


@pytest.mark.parametrize("name", planted.FAULTS)
def test_what_a_bug_takes_the_place_of_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[str] = []

    def looked_at(where: Any, attribute: str, _: Any) -> Any:
        replaced.append(attribute)
        return getattr(where, attribute)

    monkeypatch.setattr(planted, "_put", looked_at)
    planted.FAULTS[name]()

    assert replaced
