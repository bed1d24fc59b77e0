"""What may be wrong with a pattern.

Rejected
└── GlobError         the pattern can't decide; its app's decision says so
    ├── GlobThrows        micromatch itself would throw here
    └── GlobUnsupported   micromatch might answer, but we refuse to try: too long,
                          too deep, too costly, or it would never come back
"""

from typing import ClassVar

from bridge.core.errors import Rejected


class GlobError(Rejected):
    """A pattern that gives neither "match" nor "no match".

    Attributes:
        pattern: as written by its owner.
        reason: one clause for people, without the pattern.
        code: stable and machine-readable, e.g. "throws" or "too_costly".
    """

    default_code: ClassVar[str] = "broken"

    def __init__(self, pattern: str, reason: str, *, code: str | None = None) -> None:
        super().__init__(f"watch path {_shortened(pattern)!r}: {reason}")
        self.pattern = pattern
        self.reason = reason
        self.code = code or self.default_code


class GlobThrows(GlobError):
    """The JavaScript original throws.

    Attributes:
        javascript: name of its error, e.g. "TypeError".
    """

    default_code = "throws"

    def __init__(self, pattern: str, reason: str, *, javascript: str = "TypeError") -> None:
        super().__init__(pattern, reason)
        self.javascript = javascript


class GlobUnsupported(GlobError):
    """Refused by us, with a reason, instead of being run."""

    default_code = "unsupported"


def _shortened(pattern: str) -> str:
    return pattern if len(pattern) <= 80 else f"{pattern[:77]}..."
