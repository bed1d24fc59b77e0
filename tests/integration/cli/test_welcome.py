"""What `serve` tells a person at its start."""

from pathlib import Path
from typing import Any

import pytest

from bridge.app.run import Bridge
from bridge.cli.serve import welcome
from bridge.cli.show import called_as
from bridge.settings import Settings

SECRETS = {"github": {"webhook_secrets": "a-secret"}}
DOKPLOY = {"dokploy": {"url": "https://dokploy.example.com", "api_key": "k"}}


def told(values: dict[str, Any], *, apps: int = 0, backend: str | None = None) -> list[str]:
    sites = "http://127.0.0.1:8091"
    bridge = Bridge(None, "http://127.0.0.1:8080", backend, None, sites)  # type: ignore[arg-type]
    return welcome(Settings.model_validate(values), bridge, apps, "dokploy-bridge")


def test_with_nothing_set_it_says_what_to_do_next_within_80_columns() -> None:
    lines = told({}, backend="http://127.0.0.1:8090")
    text = "\n".join(lines)

    assert "export BRIDGE_GITHUB_WEBHOOK_SECRETS=" in text
    assert "/hooks/gitlab" in text
    assert "export BRIDGE_DOKPLOY_URL=" in text
    assert "dokploy-bridge app create web --repo ADDRESS" in text
    assert "--host 0.0.0.0" in text
    assert max(map(len, lines)) <= 80
    with_an_app = "\n".join(told(SECRETS, apps=1, backend="http://127.0.0.1:8090"))
    assert "app create" not in with_an_app


def test_several_dokploys_are_told_by_the_names_that_apps_show() -> None:
    other = {"backends": {"prod": {"url": "https://prod.example.com", "api_key": "k"}}}
    lines = told(SECRETS | DOKPLOY | other, apps=3)

    assert "  deploys   on Dokploy, dokploy at https://dokploy.example.com" in lines
    assert "  deploys   on Dokploy, prod at https://prod.example.com" in lines


@pytest.mark.parametrize(
    ("typed", "found", "expected"),
    [
        (".venv/bin/dokploy-bridge", None, ".venv/bin/dokploy-bridge"),
        ("/usr/bin/dokploy-bridge", "/usr/bin/dokploy-bridge", "dokploy-bridge"),
        ("/opt/dokploy-bridge", "/usr/bin/dokploy-bridge", "/opt/dokploy-bridge"),
        ("bridge/__main__.py", None, "venv/bin/python -m bridge"),
    ],
)
def test_commands_to_type_are_as_they_work_from_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: str, found: str | None, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [typed])
    monkeypatch.setattr("sys.executable", str(tmp_path / "venv/bin/python"))
    monkeypatch.setattr("bridge.cli.show.which", lambda _: found)

    assert called_as() == expected
