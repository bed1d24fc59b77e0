"""`config check --online` against backends that take their time."""

import asyncio
from pathlib import Path

import pytest

from bridge.cli import checking
from bridge.settings import read_settings


class Silent:
    """A server that is there and answers no question that needs its database."""

    closed = False

    async def version(self) -> str | None:
        await asyncio.Event().wait()
        raise AssertionError

    async def healthy(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True


def test_a_server_that_does_not_answer_in_time_is_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = Silent()
    monkeypatch.setattr(checking, "dokploy_of", lambda _settings, _name: silent)
    monkeypatch.setattr(checking, "WITHIN", 0.01)
    settings = read_settings(
        None,
        {
            "BRIDGE_DATA": str(tmp_path),
            "BRIDGE_DOKPLOY_URL": "http://127.0.0.1:1",
            "BRIDGE_DOKPLOY_API_KEY": "a-key",
        },
    )

    (tried,) = checking.tried(settings)

    assert (tried["backend"], tried["state"]) == ("dokploy", "away")
    assert "no answer within 0.01 s, though it is there" in tried["why"]
    assert silent.closed


def test_the_embedded_backend_is_not_asked(tmp_path: Path) -> None:
    assert checking.tried(read_settings(None, {"BRIDGE_DATA": str(tmp_path)})) == []
