"""`demo`, as it runs in a pipe."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]


def test_the_demo_shows_the_whole_journey_and_keeps_its_page_open_until_told(
    tmp_path: Path,
) -> None:
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

    words = [sys.executable, "-u", "-m", "bridge", "demo", "--keep"]
    with (
        (tmp_path / "errors").open("w+") as errors,
        subprocess.Popen(
            words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as running,
    ):
        assert running.stdout is not None
        shown = ""
        while "stays open" not in shown:
            line = running.stdout.readline()
            assert line, shown
            shown += line
        with urlopen(line.split()[1], timeout=10) as answer:
            assert b"Open!" in answer.read()
        running.send_signal(signal.SIGINT)
        shown += running.stdout.read()
        assert running.wait(timeout=30) == 0

    assert (tmp_path / "errors").read_text() == ""
    assert "the temporary folder is gone" in shown
    for line in (
        "deploy shop/web: paths_unknown",
        "nothing there → Opening soon",
        "deploy shop/web: path_hit (web/index.html matches web/**)",
        "Opening soon → Open!",
        "skip shop/web: no_path_hit (1 file changed, none matches web/**)",
        "401 X-Hub-Signature-256 does not fit the body",
        "| ✅ **Live in production** since ",
        "| | `shop/web` | ✅ deployed |",
        "| ✅  shop/web is live",
        "serve --host 0.0.0.0",
    ):
        assert line in shown
    assert shown.count("done       commit ") == 2
    assert "\x1b" not in shown
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bridge.yaml", "errors"]
