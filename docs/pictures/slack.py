"""Pictures of what Slack shows, made from the golden files.

    python docs/pictures/slack.py            # writes docs/pictures/slack-*.png
    python docs/pictures/slack.py --html DIR # only the pages, to look at in a browser

Each golden file becomes a page that looks much as Slack does, and headless Chromium takes its
picture (Debian: apt install chromium fonts-lato fonts-noto-color-emoji pngquant).
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import ROOT, run
from slack_page import page

GOLDEN = ROOT / "tests" / "fixtures" / "slack" / "golden"

STATES = ("waiting", "asked", "queued", "cancelled", "unknown")
LINKED = ("running", "done", "failed")
SHOWN: Mapping[str, tuple[str, ...]] = {
    **{f"card-{state}": (f"card_{state}",) for state in STATES},
    **{f"card-{state}": (f"card_{state}_with_links",) for state in LINKED},
    "card-superseded": ("card_superseded_with_link",),
    "card-other-commit": ("card_other_commit_is_live",),
    "card-tag": ("card_tag",),
    "card-held": ("card_held_by_a_lock",),
    "card-held-by-all": ("card_held_by_all",),
    "approval": ("card_held", "approval"),
    "lock": ("lock", "lock_busy"),
    "freeze": ("freeze",),
    "locks": ("locks",),
    "override": ("modal_override",),
    "thread": (
        "card_done_with_links",
        "thread",
        "line_asked",
        "line_queued",
        "line_running",
        "line_done",
    ),
    "failure": ("line_failed_with_log",),
    "unhealthy": ("line_unhealthy", "rollback_offer"),
    "rolled-back": ("card_unhealthy_rolled_back", "card_rollback_done"),
    "promoted": ("promotion", "card_promoted"),
    "last-good": ("card_last_good",),
    "apps": ("apps_live",),
    "pull": ("pull_failed", "thread", "pull_news_failed"),
    "picker": ("modal_pick_deploy", "options_three"),
    "log": ("modal_log",),
    "home": ("home_3",),
    "status": ("status_running",),
    "why": ("why",),
    "did-you-mean": ("did_you_mean",),
    "refused": ("refused",),
    "help": ("help",),
    "provider": ("provider-github",),
    "provider-difference": ("provider-difference",),
    "provider-changed": ("provider-note",),
}
"""Each picture and the golden files that are in it; those that are not there are left out."""


def pages() -> Iterator[tuple[str, str]]:
    """Each picture's name with its page."""
    for name, files in SHOWN.items():
        found = [(one, GOLDEN / f"{one}.json") for one in files]
        if all(one == "thread" or file.exists() for one, file in found):
            yield name, page([(one, _read(file)) for one, file in found])


def _read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return loaded


if __name__ == "__main__":
    run(__doc__ or "", pages(), prefix="slack-")
