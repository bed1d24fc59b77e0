"""Keeps what looks like a secret out of logs that are shown to people.

The backend masks what it knows to be secret; this catches what a build prints by itself.
"""

import re

HIDDEN = "***"

_NAME = (
    r"(?:token|secret|passw(?:or)?d|passwd|pwd|api[_-]?key|private[_-]?key|credential|dsn)"
    r"[\w.-]{0,60}[\"']?[ \t]{0,3}"
)
_VALUE = r"""(?:"[^"\n]{3,}"|'[^'\n]{3,}'|[^\s,;&"']{3,})"""
_ASSIGNED = re.compile(rf"({_NAME}(?:=[ \t]{{0,3}}|:[ \t]{{1,3}})){_VALUE}", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^\s/@'\"]+@")
_BEARER = re.compile(r"\b(authorization:?\s+)?(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_TOKENS = re.compile(
    # Of a run of letters only its beginning is looked at: from everywhere in it takes minutes.
    r"(?<![\w-])[\w-]{0,40}?eyJ[\w-]{10,}+\.[\w-]{10,}+\.[\w-]{5,}"
    r"|\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|gl[a-z]{2,6}-[\w-]{20,}"
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{16}|sk_live_\w{10,}|npm_\w{30,})"
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_KEY_END = re.compile(r"\s*-----END [A-Z ]{0,30}PRIVATE KEY-----")
_KEY_LINE = re.compile(r"\s*[A-Za-z0-9+/=]{4,}\s*")


def redact(text: str) -> str:
    """The text with what looks like a password, token or key hidden."""
    text = _without_ends_of_keys(_KEY_BLOCK.sub(HIDDEN, text))
    text = _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\2 {HIDDEN}", text)
    text = _TOKENS.sub(HIDDEN, text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text)


def _without_ends_of_keys(text: str) -> str:
    """A log's tail may begin inside of a key."""
    if "-----END" not in text:
        return text
    kept: list[str] = []
    for line in text.split("\n"):
        if (end := _KEY_END.match(line)) is not None:
            while kept and _KEY_LINE.fullmatch(kept[-1]):
                kept.pop()
            line = HIDDEN + line[end.end() :]  # noqa: PLW2901 - what follows the key stays
        kept.append(line)
    return "\n".join(kept)
