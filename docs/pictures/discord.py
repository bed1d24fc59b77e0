"""Pictures of what Discord shows, made from the golden files.

    python docs/pictures/discord.py            # writes docs/pictures/discord-*.png
    python docs/pictures/discord.py --html DIR # only the pages, to look at in a browser

Each golden file becomes a page that looks much as Discord does; see slack.py for what it needs.
"""

import html
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import ROOT, run
from slack_page import LOGO

GOLDEN = ROOT / "tests" / "fixtures" / "discord" / "golden"

STATES = (
    "waiting", "asked", "queued", "running", "done", "failed", "cancelled", "superseded", "unknown"
)  # fmt: skip
SHOWN: Mapping[str, tuple[str, ...]] = {
    **{f"card-{state}": (f"card_{state}",) for state in STATES},
    "card-other-commit": ("card_other_commit_is_live",),
    "card-tag": ("card_tag",),
    "card-held": ("card_held_by_all",),
    "failure": ("card_failed", "failure"),
    "pull": ("pull_failed",),
    "change": ("change_undone",),
}
"""Each picture and the golden files that are in it."""

STYLE = Path(__file__).with_name("discord.css").read_text()

_PIECE = re.compile(
    r"```\n(?P<block>.*?)\n```|`(?P<code>[^`]+)`|\\(?P<escaped>[^0-9A-Za-z\s])"
    r"|\[(?P<label>(?:\\.|[^\]\\])*)\]\((?P<url>[^)]+)\)|<t:(?P<time>\d+):(?P<style>[fR])>"
    r"|\*\*(?P<bold>(?:\\.|[^*\\])+)\*\*",
    re.DOTALL,
)


def markdown(text: str) -> str:
    """As HTML, as far as our own golden files need it."""
    shown, end = "", 0
    for found in _PIECE.finditer(text):
        shown += html.escape(text[end : found.start()])
        shown += _piece(found)
        end = found.end()
    shown += html.escape(text[end:])
    quotes = re.sub(r"(?m)(?:^&gt; .*\n?)+", _quote, shown)
    return quotes.replace("\n", "<br>")


def _quote(found: re.Match[str]) -> str:
    """Lines that follow each other are one quote."""
    inside = found[0].rstrip("\n").replace("&gt; ", "")
    return f"<blockquote>{inside}</blockquote>"


def _piece(found: re.Match[str]) -> str:
    if found["block"] is not None:
        return f"<pre>{html.escape(found['block'])}</pre>".replace("\n", "&#10;")
    if found["code"] is not None:
        return f"<code>{html.escape(found['code'])}</code>"
    if found["escaped"] is not None:
        return html.escape(found["escaped"])
    if found["label"] is not None:
        return f"<a>{markdown(found['label'])}</a>"
    if found["bold"] is not None:
        return f"<b>{markdown(found['bold'])}</b>"
    if found["style"] == "f":
        return f"{datetime.fromtimestamp(int(found['time']), UTC):%d %B %Y %H:%M}"
    return "a minute ago"


def page(scenes: list[dict[str, Any]]) -> str:
    """A page with the messages below each other."""
    body = "".join(map(_message, scenes))
    return f'<meta charset="utf-8"><style>{STYLE}</style><div id="shot">{body}</div>'


def _message(sent: dict[str, Any]) -> str:
    (embed,) = sent["embeds"]
    head = '<div class="head"><b>Bridge</b><span class="badge">APP</span>'
    head += '<span class="time">Today at 12:00 PM</span></div>'
    body = f"{head}{_embed(embed)}"
    return (
        f'<div class="message"><div class="avatar">{LOGO}</div><div class="body">{body}</div></div>'
    )


def _embed(embed: dict[str, Any]) -> str:
    fields = "".join(
        f'<div class="field{"" if one["inline"] else " wide"}">'
        f"<b>{markdown(one['name'])}</b>{markdown(one['value'])}</div>"
        for one in embed.get("fields", ())
    )
    parts = [f'<div class="title">{markdown(embed["title"])}</div>']
    if "description" in embed:
        parts.append(f'<div class="description">{markdown(embed["description"])}</div>')
    if fields:
        parts.append(f'<div class="fields">{fields}</div>')
    footer = [html.escape(embed.get("footer", {}).get("text", ""))]
    if "timestamp" in embed:
        at = datetime.fromisoformat(embed["timestamp"]).astimezone(UTC)
        footer.append(f"{at:%d/%m/%Y %H:%M}")
    parts.append(f'<div class="footer">{" • ".join(filter(None, footer))}</div>')
    return f'<div class="embed" style="border-color:#{embed["color"]:06x}">{"".join(parts)}</div>'


def pages() -> Iterator[tuple[str, str]]:
    """Each picture's name with its page."""
    for name, files in SHOWN.items():
        yield name, page([json.loads((GOLDEN / f"{one}.json").read_text()) for one in files])


if __name__ == "__main__":
    run(__doc__ or "", pages(), prefix="discord-")
