"""Tags as versions: SemVer 2.0.0 exactly (library `semver`), and ranges of versions.

A range is what npm users write: comparators side by side must all fit, `||` is "or".
`>=1.2 <2`, `^1.4`, `~1.4.2`, `1.x`, `1.2 - 1.4`, `*`. A bound that leaves parts out stands
for all that they could be, pre-releases too: `<2` ends before 2.0.0-0, where `>=2` begins.
A bound that is whole stands for itself: `>=1.2.3` does not contain 1.2.3-rc.1.

Whether pre-releases are wanted is no matter of the range (see `rules.Prereleases`), so it is
npm's `semver` with `includePrerelease: true` that ranges agree with, but for three things:

- `1.2.3 - 2` begins at 1.2.3, as `>=1.2.3` does; npm begins at 1.2.3-0 in this form only.
- A number or a pre-release after an `x` (`1.x.3`, `1.2.x-rc`) is refused, as is `==1`.
- A part may have more digits than JavaScript counts exactly.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from semver import Version

from bridge.core.errors import Rejected

Test: TypeAlias = Callable[[Version], bool]

_PART = r"(0|[1-9][0-9]*|[xX*])"
_PARTIAL = re.compile(
    rf"v?{_PART}(?:\.{_PART}(?:\.{_PART}(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)?)?"
)
_COMPARATOR = re.compile(r"\s*(>=|<=|>|<|=|\^|~>?|)\s*(\S+)")
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
LONGEST = 256


class BadRange(Rejected):
    """A range of versions can't be read; names the part that is at fault."""


def version_of(tag: str, prefix: str | None = None) -> Version | None:
    """The version that a tag names, or None.

    Args:
        prefix: what stands before the version and must be there, e.g. "api-v"; None takes
            tags with or without a "v".
    """
    if prefix is None:
        text = tag.removeprefix("v")
    elif tag.startswith(prefix):
        text = tag.removeprefix(prefix)
    else:
        return None
    return Version.parse(text) if len(text) <= LONGEST and Version.is_valid(text) else None


@dataclass(frozen=True, slots=True)
class Range:
    """A set of versions."""

    text: str
    _any_of: tuple[tuple[Test, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Read a range.

        Raises:
            BadRange: it is none.
        """
        if len(text) > LONGEST:
            raise BadRange(f"a range of versions has at most {LONGEST} characters")
        return cls(text, tuple(tuple(_tests(part)) for part in text.split("||")))

    def __contains__(self, version: Version) -> bool:
        return any(all(test(version) for test in tests) for tests in self._any_of)


@dataclass(frozen=True, slots=True)
class _Bound:
    """A version of which parts may be missing."""

    major: int | None
    minor: int | None
    patch: int | None
    prerelease: str | None

    @property
    def floor(self) -> Version:
        """The lowest version that it stands for: itself where it is whole."""
        if self.patch is None:
            return _before_all(self.major or 0, self.minor or 0, 0)
        return Version(self.major or 0, self.minor or 0, self.patch, self.prerelease)

    @property
    def after(self) -> Version | None:
        """Just above all that it stands for; None where it stands for everything."""
        if self.major is None:
            return None
        if self.minor is None:
            return _before_all(self.major + 1, 0, 0)
        if self.patch is None:
            return _before_all(self.major, self.minor + 1, 0)
        return None


def _before_all(major: int, minor: int, patch: int) -> Version:
    """Below every pre-release of a version: "0" is the lowest there is."""
    return Version(major, minor, patch, "0")


def _tests(text: str) -> Iterator[Test]:
    if hyphen := _HYPHEN.fullmatch(text):
        yield from _compared(">=", _bound(hyphen[1]))
        yield from _compared("<=", _bound(hyphen[2]))
        return
    for found in _COMPARATOR.finditer(text):
        yield from _compared(found[1], _bound(found[2]))


def _bound(text: str) -> _Bound:
    found = _PARTIAL.fullmatch(text)
    if found is None:
        raise BadRange(f"{text[:40]!r} is no version; write e.g. 1.2.3, 1.2 or 1.x")
    major, minor, patch = (_number(part) for part in found.group(1, 2, 3))
    prerelease = found[4]
    if (major is None and minor is not None) or (minor is None and patch is not None):
        raise BadRange(f"{text[:40]!r} has a number after an x; leave it out")
    if prerelease is not None and patch is None:
        raise BadRange(f"{text[:40]!r} has a pre-release after an x; leave it out")
    if prerelease is not None and not Version.is_valid(f"0.0.0-{prerelease}"):
        raise BadRange(f"{text[:40]!r} is no version: {prerelease[:40]!r} is no pre-release")
    return _Bound(major, minor, patch, prerelease)


def _number(part: str | None) -> int | None:
    return None if part is None or part in ("x", "X", "*") else int(part)


def _compared(operator: str, bound: _Bound) -> Iterator[Test]:
    floor, after = bound.floor, bound.after
    exact = bound.major is not None and after is None
    match operator:
        case "^":
            yield from _between(floor, _caret(bound))
        case "~" | "~>":
            yield from _between(floor, _tilde(bound))
        case ">=":
            yield from _between(floor, None)
        case "<":
            lowest = floor if exact else _before_all(floor.major, floor.minor, floor.patch)
            yield lambda version: version < lowest
        case ">" if exact:
            yield lambda version: version > floor
        case ">":
            yield lambda version: after is not None and version >= after
        case "<=" if exact:
            yield lambda version: version <= floor
        case "<=":
            yield lambda version: after is None or version < after
        case _ if exact:
            yield lambda version: version == floor
        case _:
            yield from _between(floor, after)


def _between(floor: Version, end: Version | None) -> Iterator[Test]:
    yield lambda version: version >= floor
    if end is not None:
        yield lambda version: version < end


def _caret(bound: _Bound) -> Version | None:
    """`^`: nothing changes left of the first part that is not zero."""
    major, minor, patch = bound.major, bound.minor, bound.patch
    if major is None:
        return None
    if major > 0 or minor is None:
        return _before_all(major + 1, 0, 0)
    if minor > 0 or patch is None:
        return _before_all(0, minor + 1, 0)
    return _before_all(0, 0, patch + 1)


def _tilde(bound: _Bound) -> Version | None:
    """`~`: only the last part that is named may grow."""
    if bound.major is None:
        return None
    if bound.minor is None:
        return _before_all(bound.major + 1, 0, 0)
    return _before_all(bound.major, bound.minor + 1, 0)
