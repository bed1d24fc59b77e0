"""Block Kit as HTML, near enough to what Slack shows; for our own golden files only."""

import html
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]

EMOJI = {
    "seedling": "🌱", "broom": "🧹",
    "hourglass_flowing_sand": "⏳", "satellite_antenna": "📡", "inbox_tray": "📥",
    "building_construction": "🏗️", "white_check_mark": "✅", "x": "❌", "no_entry_sign": "🚫",
    "face_with_thermometer": "🤒", "stethoscope": "🩺", "rewind": "⏪", "arrow_up": "⬆️",
    "fast_forward": "⏩", "question": "❓", "label": "🏷️", "warning": "⚠️", "rocket": "🚀",
    "bulb": "💡", "information_source": "\N{INFORMATION SOURCE}\ufe0f",
    "lock": "🔒", "unlock": "🔓", "snowflake": "❄️", "sunny": "☀️", "alarm_clock": "⏰",
    "test_tube": "🧪", "busts_in_silhouette": "👥", "link": "🔗", "raised_hand": "✋",
    "memo": "📝",
    "thinking_face": "🤔", "white_small_square": "▫️",
    "large_blue_circle": "🔵", "large_green_circle": "🟢", "red_circle": "🔴", "pencil2": "✏️",
    "leftwards_arrow_with_hook": "↩️", "white_circle": "⚪", "large_yellow_circle": "🟡",
    "black_square_for_stop": "⏹️", "gear": "⚙️", "mag": "🔍",
    "arrows_counterclockwise": "🔄", "hammer_and_wrench": "🛠️", "large_orange_circle": "🟠",
}  # fmt: skip

PEOPLE = {"U0123ABCD": "Ada Lovelace"}

STYLE = Path(__file__).with_name("slack.css").read_text()

LOGO = """<svg width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="#fff"
stroke-width="1.9" stroke-linecap="round">
<path d="M2 17h20M4 17V8M20 17V8M4 9c3 5 13 5 16 0M9 12v5M15 12v5"/></svg>"""


def page(scenes: Sequence[tuple[str, Json]]) -> str:
    """A page with the scenes below each other; after one named "thread" come replies."""
    shown: list[str] = []
    in_thread = False
    for name, sent in scenes:
        if name == "thread":
            in_thread = True
        elif "options" in sent:
            shown[-1] = shown[-1].replace("<!--options-->", _options(sent["options"]))
        else:
            shown.append(_scene(sent, reply=in_thread))
    body = "".join(shown)
    return f'<meta charset="utf-8"><style>{STYLE}</style><div id="shot">{body}</div>'


def _scene(sent: Json, *, reply: bool) -> str:
    inside = "".join(block(one) for one in sent["blocks"])
    if sent.get("type") == "modal":
        return _modal(sent, inside)
    if sent.get("type") == "home":
        return f'<div class="home"><div class="inside">{inside}</div></div>'
    if reply:
        return f'<div class="reply">{inside}</div>'
    head = '<div class="head"><b>Bridge</b><span class="badge">APP</span>'
    head += '<span class="time">12:00 PM</span></div>'
    return (
        f'<div class="message"><div class="avatar">{LOGO}</div>'
        f'<div class="body">{head}{inside}</div></div>'
    )


def _modal(view: Json, inside: str) -> str:
    buttons = [f'<span class="button">{plain(view["close"])}</span>'] if "close" in view else []
    if "submit" in view:
        buttons.append(f'<span class="button primary">{plain(view["submit"])}</span>')
    title = f'<div class="title">{plain(view["title"])}<span class="x">✕</span></div>'
    foot = f'<div class="foot">{"".join(buttons)}</div>'
    return f'<div class="modal">{title}<div class="inside">{inside}</div>{foot}</div>'


def block(one: Json) -> str:
    """One block."""
    kind = one["type"]
    if kind == "section":
        texts = [f"<div>{text(one['text'])}</div>"] if "text" in one else []
        if fields := one.get("fields"):
            cells = "".join(f"<div>{text(field)}</div>" for field in fields)
            texts.append(f'<div class="fields">{cells}</div>')
        beside = element(one["accessory"]) if "accessory" in one else ""
        return f'<div class="section"><div class="text">{"".join(texts)}</div>{beside}</div>'
    if kind == "context":
        pieces = "".join(f"<span>{text(piece)}</span>" for piece in one["elements"])
        return f'<div class="context">{pieces}</div>'
    if kind == "actions":
        return f'<div class="actions">{"".join(element(e) for e in one["elements"])}</div>'
    if kind == "header":
        return f'<div class="header">{text(one["text"])}</div>'
    if kind == "input":
        return _input(one)
    return "<hr>"


def _input(one: Json) -> str:
    optional = " <i>(optional)</i>" if one.get("optional") else ""
    hint = f'<div class="hint">{text(one["hint"])}</div>' if "hint" in one else ""
    return (
        f'<div class="input"><label>{text(one["label"])}{optional}</label>'
        f"{element(one['element'], wide=True)}{hint}</div>"
    )


def element(one: Json, *, wide: bool = False) -> str:
    """A button, a picker or a field."""
    kind = one["type"]
    if kind == "button":
        return f'<span class="button {one.get("style", "")}">{plain(one["text"])}</span>'
    if kind in ("radio_buttons", "checkboxes"):
        return _choices(one)
    if kind == "plain_text_input":
        return _field(one)
    chosen = one.get("initial_option")
    shown = plain(chosen["text"]) if chosen else _quiet(one)
    if wide:
        return (
            f'<div class="box"><span>{shown}</span><span class="quiet">⌄</span></div><!--options-->'
        )
    return f'<span class="select">{shown}</span>'


def _field(one: Json) -> str:
    value = html.escape(one.get("initial_value", "")) or _quiet(one)
    lines = " lines" if one.get("multiline") else ""
    return f'<div class="box{lines}">{value or "&nbsp;"}</div>'


def _choices(one: Json) -> str:
    first = [one["initial_option"]] if "initial_option" in one else one.get("initial_options", [])
    chosen = {option["value"] for option in first}
    square = " check" if one["type"] == "checkboxes" else ""
    rows: list[str] = []
    for option in one["options"]:
        on = " on" if option["value"] in chosen else ""
        shown = text(option["text"])
        if "description" in option:
            shown += f' <span class="quiet">{text(option["description"])}</span>'
        rows.append(f'<div class="radio{square}{on}"><span>{shown}</span></div>')
    return "".join(rows)


def _options(options: Sequence[Json]) -> str:
    rows: list[str] = []
    for one in options:
        more = f'<span class="quiet hint">{plain(one.get("description"))}</span>'
        rows.append(f"<div>{plain(one['text'])}<br>{more}</div>")
    return f'<div class="list">{"".join(rows)}</div>'


def _quiet(one: Json) -> str:
    return f'<span class="quiet">{plain(one.get("placeholder"))}</span>'


def text(one: Json) -> str:
    """A text object."""
    return mrkdwn(one["text"]) if one["type"] == "mrkdwn" else plain(one)


def plain(one: Json | None) -> str:
    """A plain text, with its emoji."""
    return _emoji(html.escape(one["text"])) if one else ""


def mrkdwn(source: str) -> str:
    """Slack's markup; what is in it is escaped already."""
    pieces = re.split(r"(```.*?```|<[^<>]+>|`[^`\n]+`)", source, flags=re.DOTALL)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece.startswith("```"):
        return f"<pre>{piece.strip('`').strip(chr(10))}</pre>"
    if piece.startswith("`"):
        return f"<code>{piece[1:-1]}</code>"
    if piece.startswith("<!date"):
        return re.sub(r"<!date\^(\d+)\^([^|]*)\|[^>]*>", _date, piece)
    if piece.startswith("<@"):
        return f'<span class="call">@{PEOPLE.get(piece[2:-1], piece[2:-1])}</span>'
    if piece.startswith("<"):
        address, _, label = piece[1:-1].partition("|")
        return f'<a href="{address}">{mrkdwn(label)}</a>'
    piece = re.sub(r"(?<![\w&])\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", piece)
    piece = re.sub(r"(?<![\w/:.])_([^_\n]+)_(?!\w)", r"<i>\1</i>", piece)
    return _emoji(piece).replace("\n", "<br>")


def _date(found: "re.Match[str]") -> str:
    at = time.gmtime(int(found[1]))
    hour, half = (at.tm_hour - 1) % 12 + 1, "AM" if at.tm_hour < 12 else "PM"
    words = {
        "{date_short_pretty}": "Today",
        "{ago}": "3 minutes ago",
        "{time_secs}": f"{hour}:{at.tm_min:02d}:{at.tm_sec:02d} {half}",
        "{time}": f"{hour}:{at.tm_min:02d} {half}",
    }
    shown = found[2]
    for token, said in words.items():
        shown = shown.replace(token, said)
    return shown


def _emoji(piece: str) -> str:
    return re.sub(
        r":([a-z0-9_]+):",
        lambda m: f'<span class="emoji">{EMOJI[m[1]]}</span>' if m[1] in EMOJI else m[0],
        piece,
    )
