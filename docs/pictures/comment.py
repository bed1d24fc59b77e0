"""Pictures of a pull request's comment, made from its golden files.

    python docs/pictures/comment.py            # writes docs/pictures/comment*.png
    python docs/pictures/comment.py --html DIR # only the pages, to look at in a browser

The Markdown is rendered as on GitHub, and headless Chromium takes its picture (Debian: apt
install chromium fonts-noto-color-emoji pngquant).
"""

import re
import sys
from pathlib import Path

from markdown_it import MarkdownIt

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import ROOT, run

GOLDEN = ROOT / "tests" / "fixtures" / "feedback"
SHOWN = {"comment": "three_apps", "comment-held": "held_apps", "comment-previews": "previews"}
"""Each picture, and the golden file that is in it."""

WIDTH = 940

PAGE = """<!doctype html><meta charset="utf-8"><style>
* { box-sizing: border-box }
#shot { padding: 12px; width: 940px }
body { margin: 0; background: #fff; color: #1f2328;
  font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, "Noto Color Emoji" }
.comment { border: 1px solid #d1d9e0; border-radius: 6px }
.head { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e;
  border-radius: 6px 6px 0 0 }
.head b { color: #1f2328 }
.bot { border: 1px solid #d1d9e0; border-radius: 2em; padding: 0 6px; font-size: 12px }
.body { padding: 16px 16px 12px }
p { margin: 0 0 14px }
table { border-collapse: collapse; margin: 0 0 14px }
th, td { border: 1px solid #d1d9e0; padding: 5px 10px; white-space: nowrap }
code { background: #818b981f; border-radius: 6px; padding: 3px 5px;
  font: 12px ui-monospace, "DejaVu Sans Mono", monospace }
a { color: #0969da; text-decoration: none }
.sha { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; text-decoration: underline }
ul { margin: 4px 0 14px; padding-left: 28px }
sub { color: #59636e; font-size: 12px; vertical-align: baseline }
</style>
<div id="shot"><div class="comment"><div class="head"><b>dokploy-bridge</b>
 <span class="bot">bot</span> commented 2 minutes ago · edited</div>
<div class="body">%s</div></div></div>"""


def page(name: str) -> str:
    """The comment as GitHub shows it, with what is folded open."""
    written = (GOLDEN / f"comment__{name}.md").read_text()
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(written)
    linked = re.sub(r"(?<![\w/])([0-9a-f]{7})(?![\w/])", r'<a class="sha">\1</a>', rendered)
    return PAGE % linked.replace("<details>", "<details open>")


if __name__ == "__main__":
    run(__doc__ or "", [(name, page(file)) for name, file in SHOWN.items()], width=WIDTH)
