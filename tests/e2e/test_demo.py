"""`demo`, as it runs in a pipe."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo(folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bridge", "demo"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_shows_the_whole_journey(tmp_path: Path) -> None:
    # A setting, a file and a Git identity of the caller must not matter.
    (tmp_path / "bridge.yaml").write_text("nonsense: true\n")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "BRIDGE_PORT": "high",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "GIT_DIR": str(tmp_path / "nowhere"),
        "TMPDIR": str(tmp_path),
    }

    done = demo(tmp_path, environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for line in (
        "deploy shop/web: paths_unknown",
        "nothing there → Opening soon",
        "deploy shop/web: path_hit (web/index.html matches web/**)",
        "Opening soon → Open!",
        "skip shop/web: no_path_hit (1 file changed, none matches web/**)",
        "401 X-Hub-Signature-256 does not fit the body",
        "export BRIDGE_DOKPLOY_URL=",
        "https://bridge.example.com/hooks/github",
    ):
        assert line in done.stdout
    assert done.stdout.count("done       commit ") == 2
    assert "\x1b" not in done.stdout
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bridge.yaml"]


def test_the_demo_says_what_is_missing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": str(tmp_path)}

    done = demo(tmp_path, environment)

    assert done.returncode == 2
    assert done.stderr == "error: the demo needs git, and there is none in PATH\n"
