"""`demo`, as it runs in a pipe."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

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
        "| | `shop/web` | `production` | ✅ deployed",
        "| ✅  shop/web is live",
        "serve --host 0.0.0.0",
    ):
        assert line in done.stdout
    assert done.stdout.count("done       commit ") == 2
    assert "\x1b" not in done.stdout
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bridge.yaml"]


def test_the_demo_keeps_the_page_open_until_it_is_told_to_stop(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    words = [sys.executable, "-u", "-m", "bridge", "demo", "--keep"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        kept = next(line for line in running.stdout if "stays open" in line)
        page = kept.split()[1]
        with urlopen(page, timeout=10) as answer:
            assert b"Open!" in answer.read()
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
        assert running.wait(timeout=30) == 0
    assert "the temporary folder is gone" in rest
