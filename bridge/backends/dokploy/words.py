"""A server's own words, made fit to be shown: no SQL, HTML, stacks, secrets or novels.

Dokploy answers some mistakes with the text of the failed query and its parameters, and
a proxy before it answers with pages. Neither belongs into a chat or a log.
"""

import re
from collections.abc import Iterable

LIMIT = 300
WITHHELD = "it gave an internal error; the details are in its own log"

# Each pattern is anchored to its own first characters, so that a long hostile text costs one pass.
_UNFIT = re.compile(
    r"""
    failed\ query | \bparams:\s
    | \bselect\s[^;]{1,2000}?\sfrom\s+["`\w]
    | \binsert\s+into\s | \bdelete\s+from\s | \bupdate\s+["`\w.]+\s+set\s
    | \breturning\s+["`] | \bwhere\s+["`] | \bsqlstate\b | \bsyntax\ error\ at\ or\ near\b
    | \bviolates\s[\w\s-]{1,60}constraint | \bduplicate\ key\ value\b
    | \b(?:relation|column|table)\s+"[^"]{1,200}"\s+(?:does\ not|of\ relation)
    | \b(?:postgres|drizzle|sqlite)\w{0,10}error\b
    | <!doctype | </?(?:html|head|body|title|div|span|script|pre|center|h[1-6]|p|br|hr)\b
    | traceback\ \(most\ recent | \bFile\ "[^"]{1,300}",\ line\ \d
    | \n\s{1,20}at\s | \bat\s[^\n]{0,200}\(?[^\s()]{1,200}:\d+:\d+\)? | node_modules/
    | \.[cm]?[jt]sx?:\d+:\d+ | -----BEGIN
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SECRET = re.compile(
    r"""
    (?<=://)[^\s/@]{1,500}(?=@)
    | \b(?:gh[a-z]_|github_pat_|glpat-|gloas-|xox[a-z]-|bearer\s+)[\w.~+/=-]{6,500}
    | (?<=key=)[^\s&]+ | (?<=token=)[^\s&]+ | (?<=password=)[^\s&]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\s]+")
_READ_AT_MOST = 5_000
_SHORTEST_SECRET = 4  # anything shorter is in every text, and hiding it there would betray it


def fit(text: str, secrets: Iterable[str] = ()) -> str:
    """The text in one line of at most 300 characters; `WITHHELD` where it can't be shown.

    Args:
        secrets: values that must not be repeated, such as the key that was sent.
    """
    text = text[:_READ_AT_MOST]
    if _UNFIT.search(text):
        return WITHHELD
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = _CONTROL.sub(" ", _SECRET.sub("***", text)).strip()
    return text if len(text) <= LIMIT else text[: LIMIT - 1].rstrip() + "…"
