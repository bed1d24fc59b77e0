"""The wheel, which `uv tool install`, `pipx` and `pip` install: it is whole, and it runs."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import __version__
from tests.oracles.node_tools import missing
from tests.worlds.shell import Shell, serving

ROOT = Path(__file__).parents[2]
MINUTES = 5 * 60
"""Seconds for what waits for a package registry: the build tool comes from one."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words],
        capture_output=True, text=True, timeout=MINUTES, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        missing(f"no wheel can be built here: {done.stderr.strip()[-300:]}")
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in; its dependencies are those of the tests."""
    site = tmp_path_factory.mktemp("installed") / "site"
    words = ["install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return site


def ours() -> Iterator[str]:
    """Yield the files of the package, as Git knows them."""
    words = ["git", "ls-files", "-z", "bridge"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    yield from (name for name in done.stdout.split("\0") if name and (ROOT / name).exists())


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    assert wheel.name == f"dokploy_bridge-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if ".dist-info/" not in name}

    assert inside >= set(ours())
    assert {name.partition("/")[0] for name in inside} == {"bridge"}


def test_the_installed_command_is_that_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    environment = Shell(tmp_path, release=str(installed)).environment
    asked = ([sys.executable, "-c", "import bridge; print(bridge.__file__)"],
             [str(installed / "bin" / "dokploy-bridge"), "--version"])  # fmt: skip
    file, version = (
        subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        for words in asked
    )

    assert file.startswith(f"{installed}{os.sep}")
    assert version == f"dokploy-bridge {__version__}"


async def test_the_installed_command_serves(installed: Path, tmp_path: Path) -> None:
    async with serving(Shell(tmp_path, release=str(installed))) as shell:
        assert json.loads(await shell.run_apart("apps", "--json")) == []
