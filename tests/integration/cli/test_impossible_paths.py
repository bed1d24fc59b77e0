"""Paths that can't be: each is one line of an error, never a traceback."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.every import app
from tests.worlds.cli import Cli

LONG = "x" * 300
IMPOSSIBLE = [LONG, f"/{LONG}", f"./{LONG}/y", "/" + "d/" * 3000, "~nobody-here/x", "loop/x"]
IDS = ["long", "long-from-root", "long-inside", "long-in-all", "nobody", "circle"]


@pytest.fixture(autouse=True)
def circle(cli: Cli) -> None:
    (cli.folder / "loop").symlink_to("loop")


def must_be_one_line(text: str) -> None:
    assert len(text.strip().splitlines()) == 1
    assert text.startswith("error: ")


@pytest.mark.parametrize("path", [*IMPOSSIBLE, "file://[x", f"file:///{LONG}"])
def test_no_repository_is_there(cli: Cli, path: str) -> None:
    told = cli("app", "create", "web", f"--repo={path}", code=2).stderr

    must_be_one_line(told)
    assert "--repo" in told
    assert len(told) < 500


@pytest.mark.parametrize("path", IMPOSSIBLE, ids=IDS)
@pytest.mark.parametrize(
    "command",
    [
        ["explain"],
        ["env", "import", "shop/web"],
        ["config", "check", "--config"],
        ["config", "show", "--config"],
    ],
    ids=" ".join,
)
def test_no_file_is_there(filled: Cli, command: list[str], path: str) -> None:
    result = filled(*command, path, code=4 if command == ["explain"] else 2)

    must_be_one_line(result.stderr)


@pytest.mark.parametrize("path", ["/proc/x", "/proc/x/y", "/sys/x"])
def test_the_check_sees_where_nothing_can_be_made(cli: Cli, path: str) -> None:
    assert (
        f"data: {path} can't hold the data"
        in cli("config", "check", code=2, BRIDGE_DATA=path).stderr
    )


def test_the_check_leaves_nothing_behind(cli: Cli) -> None:
    before = sorted(cli.folder.iterdir())

    cli("config", "check")

    assert sorted(cli.folder.iterdir()) == before


@pytest.mark.parametrize("path", IMPOSSIBLE, ids=IDS)
@pytest.mark.parametrize(
    "command",
    ["config check", "apps", "deliveries", "deploy web", "serve", "app delete web", "backend"],
)
def test_no_data_folder_can_be_there(cli: Cli, command: str, path: str) -> None:
    Path("~nobody-here").write_text("a file, not a folder")

    result = CliRunner().invoke(app, command.split(), env={"BRIDGE_DATA": path, "PORT": "0"})

    assert result.exception is None or isinstance(result.exception, SystemExit)
    *_, line = (result.stderr or result.stdout).splitlines()
    assert path.removeprefix("./")[:50] in line
    nothing_kept = "nothing is kept in" in line
    assert nothing_kept or "can't hold the data" in line or "can't be written" in line
    assert result.exit_code in ((0, 4) if nothing_kept else (2,))
