"""Pictures of what a terminal shows to somebody on call.

    python docs/pictures/terminal.py            # writes docs/pictures/terminal-*.png
    python docs/pictures/terminal.py --html DIR # only the pages, to look at in a browser

The commands run on a bridge's data that is made for them, and headless Chromium takes a picture
of what they print (Debian: apt install chromium fonts-dejavu-core pngquant).
"""

import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from browser import run

from bridge.app.storage import Stores
from bridge.core.apps import App, Source, SourceType, Trigger
from bridge.core.lifecycle import State
from tests.scenes.terminal import DAY, HOUR, MINUTE, NOW, WRONG_SECRET, fill, push, shown

WIDTH, COLUMNS = 960, 96

GIT = Source(SourceType.GITHUB, repository="acme/shop", branch="main")
WEB = App("web", "web", "shop", source=GIT, watch_paths=("apps/web/**", "packages/**"))
API = App("api", "api", "shop", source=GIT, trigger=Trigger.TAG)
DB = App("db", "db", "shop", source=Source(SourceType.DOCKER, image="postgres:17"))
LIVE, BROKEN, TAGGED = "13dfa1f".ljust(40, "0"), "9ab41c7".ljust(40, "0"), "2e8f106".ljust(40, "0")
WHY = "npm error Missing script: “build”"
TAIL = f"#9 [5/6] RUN npm run build\n{WHY}\nERROR: process “npm run build” did not complete"

SHOTS = {
    "why": ("why", "shop/web"),
    "refused": ("deliveries", "--refused"),
    "apps": ("apps",),
    "setup": ("setup", "--url", "https://bridge.example.com"),
}

THEME = TerminalTheme(
    (30, 34, 41),
    (214, 219, 227),
    [
        (40, 44, 52),
        (240, 113, 120),
        (140, 200, 110),
        (229, 192, 123),
        (97, 175, 239),
        (198, 120, 221),
        (86, 182, 194),
        (200, 204, 212),
    ],
)

PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #fff }}
#shot {{ padding: 10px; width: {width}px; box-sizing: border-box }}
.screen {{ background: #1e2229; color: #d6dbe3; border-radius: 8px; padding: 14px 18px 16px }}
pre {{ margin: 0; font: 15px/1.45 "DejaVu Sans Mono", monospace; white-space: pre }}
.prompt {{ color: #8cc86e }}
</style>
<div id="shot"><div class="screen"><pre><span class="prompt">$</span> {typed}
{shown}</pre></div></div>"""


async def made(stores: Stores) -> None:
    """A shop of which the web site does not build, and a webhook with another secret."""
    await stores.journal.save_apps("dokploy", [WEB, API, DB])
    hit = {"evidence": "apps/web/index.html matches apps/web/**", "repository": "acme/shop"}
    await push(stores, 4709, LIVE, 3 * DAY, (WEB, State.DONE, "commit 13dfa1f is live"), **hit)
    tagged = (API, State.DONE, "commit 2e8f106 is live")
    await push(stores, 4710, TAGGED, 5 * HOUR, tagged, evidence="v1.4.0", repository="acme/shop")
    failed = (WEB, State.FAILED, WHY)
    await push(stores, 4711, BROKEN, 12 * MINUTE, failed, tail=TAIL, **hit)
    astray = replace(
        WRONG_SECRET,
        minute=NOW - 2 * HOUR,
        host="gitlab",
        reason="wrong_path",
        path="/webhook",
        network="34.74.90.0/24",
        repository="",
        why="there is nothing at /webhook; GitLab's webhooks go to /hooks/gitlab",
        count=1,
        last=NOW - 2 * HOUR,
    )
    await stores.journal.keep_refused([WRONG_SECRET, astray])


def pages() -> Iterator[tuple[str, str]]:
    """Each scene as a page."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        fill(data, made)
        for name, words in SHOTS.items():
            text = Text.from_ansi(shown(data, words, COLUMNS, colours=True, rules="").rstrip())
            console = Console(file=io.StringIO(), record=True, width=200, force_terminal=True)
            console.print(text, soft_wrap=True)
            inside = console.export_html(theme=THEME, inline_styles=True, code_format="{code}")
            typed = " ".join(("dokploy-bridge", *words))
            yield name, PAGE.format(width=WIDTH, typed=typed, shown=inside)


if __name__ == "__main__":
    run(__doc__ or "", pages(), prefix="terminal-", width=WIDTH)
