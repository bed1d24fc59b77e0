"""The bridge's own rules for apps: what a backend's record can't hold.

Dokploy stores one branch and, for GitHub, "push" or "tag". Rules in `bridge.yaml` add which tags,
which branches, and tags on other hosts. A rule decides *when* an app deploys; *what* is built is
still the head of the backend's branch.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import TypeAlias

from semver import Version

from bridge.core.apps import App, Prereleases, Rules
from bridge.core.errors import Rejected
from bridge.core.matching import Glob, GlobError

Test: TypeAlias = Callable[[Version], bool]

_PART = r"(0|[1-9][0-9]*|[xX*])"
_PARTIAL = re.compile(
    rf"v?{_PART}(?:\.{_PART}(?:\.{_PART}(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)?)?"
)
_COMPARATOR = re.compile(r"\s*(>=|<=|>|<|=|\^|~>?|)\s*(\S+)")
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
LONGEST = 256


class BadRange(Rejected):
    """A version range can't be read; the message names the invalid part."""


def version_of(tag: str, prefix: str | None = None) -> Version | None:
    """Return the version that a tag names, or None.

    Args:
        prefix: the required text before the version, e.g. "api-v"; None accepts tags with or
            without a "v".
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
            BadRange: the text is not a range.
        """
        if len(text) > LONGEST:
            raise BadRange(f"a range of versions has at most {LONGEST} characters")
        parts = ([_compared(*one) for one in _comparators(part)] for part in text.split("||"))
        return cls(text, tuple(tuple(chain.from_iterable(part)) for part in parts))

    def holds_any(self, policy: Prereleases = Prereleases.DEPLOY) -> bool:
        """Return whether it contains a version that the pre-release policy allows."""
        return any(version in self for version in _lowest(self.text, policy))

    def __contains__(self, version: Version) -> bool:
        return any(all(test(version) for test in tests) for tests in self._any_of)


@dataclass(frozen=True, slots=True)
class _Bound:
    """A version with possibly missing parts."""

    major: int | None
    minor: int | None
    patch: int | None
    prerelease: str | None

    @property
    def floor(self) -> Version:
        """The lowest version that it covers; itself if complete."""
        if self.patch is None:
            return _before_all(self.major or 0, self.minor or 0, 0)
        return Version(self.major or 0, self.minor or 0, self.patch, self.prerelease)

    @property
    def after(self) -> Version | None:
        """The lowest version above all that it covers; None if it covers everything."""
        if self.major is None:
            return None
        if self.minor is None:
            return _before_all(self.major + 1, 0, 0)
        if self.patch is None:
            return _before_all(self.major, self.minor + 1, 0)
        return None


def _before_all(major: int, minor: int, patch: int) -> Version:
    """Return a bound below every pre-release of a version: "0" is the lowest one."""
    return Version(major, minor, patch, "0")


def _comparators(text: str) -> Iterator[tuple[str, _Bound]]:
    """Yield the operators of one part of a range, each with the version that it names."""
    if hyphen := _HYPHEN.fullmatch(text):
        yield from ((">=", _bound(hyphen[1])), ("<=", _bound(hyphen[2])))
        return
    for found in _COMPARATOR.finditer(text):
        yield found[1], _bound(found[2])


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


def _lowest(text: str, policy: Prereleases) -> Iterator[Version]:
    """Yield candidates that include the lowest version of each non-empty part of a range."""
    bounds = [bound for part in text.split("||") for _, bound in _comparators(part)]
    points = [_before_all(0, 0, 0)]
    points += [point for bound in bounds for point in (bound.floor, bound.after) if point]
    for point in points:
        release, after = point.finalize_version(), point.finalize_version().bump_patch()
        if policy is not Prereleases.ONLY:
            yield from (release, after)
        if policy is not Prereleases.SKIP:
            yield _before_all(after.major, after.minor, after.patch)
            if point.prerelease:
                yield from (point, point.replace(prerelease=f"{point.prerelease}.0"))


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
    """Return the upper bound of `^`: nothing left of the first non-zero part may change."""
    major, minor, patch = bound.major, bound.minor, bound.patch
    if major is None:
        return None
    if major > 0 or minor is None:
        return _before_all(major + 1, 0, 0)
    if minor > 0 or patch is None:
        return _before_all(0, minor + 1, 0)
    return _before_all(0, 0, patch + 1)


def _tilde(bound: _Bound) -> Version | None:
    """Return the upper bound of `~`: only the last named part may grow."""
    if bound.major is None:
        return None
    if bound.minor is None:
        return _before_all(bound.major + 1, 0, 0)
    return _before_all(bound.major, bound.minor + 1, 0)


# ── The bridge's own rules for apps: what a backend's record can't hold ─────────────────────────

RuleBook = Sequence[tuple[str, Rules]]
"""Labels, or globs over them, with the rules for matching apps; later ones win."""


def rules_for(label: str, book: RuleBook) -> Rules:
    """Return the book's rules for one app."""
    found = Rules()
    for pattern, rules in book:
        if label_matches(pattern, label):
            found = rules.over(found)
    return found


def ruled(app: App, book: RuleBook) -> App:
    """Return an app with the book's rules; where those set nothing, with its stored rules."""
    return replace(app, rules=rules_for(app.label, book).over(app.rules))


def label_matches(pattern: str, label: str) -> bool:
    """Return whether a label or glob matches an app's label; "*" matches every one."""
    return pattern == "*" or name_matches(pattern, label)


def name_matches(pattern: str, name: str) -> bool:
    """Return whether a name or glob matches a name; an invalid glob matches only itself."""
    if pattern == name:
        return True
    try:
        return _glob(pattern).matches(name)
    except GlobError:
        return False


MERGE_QUEUES = ("gh-readonly-queue/", "mergify/merge-queue/", "trunk-merge/", "gtmq_")
"""Prefixes of the temporary test branches of merge queues: GitHub's own, Mergify's, Trunk's and
Graphite's. Nobody means them by `**`, and their commits may never be merged."""


def merge_queue_of(branch: str) -> str | None:
    """Return the prefix of the merge queue that created a branch; None if none did."""
    return next((queue for queue in MERGE_QUEUES if branch.startswith(queue)), None)


def branch_matches(pattern: str, branch: str) -> bool:
    """Return whether a name or glob matches a branch; a merge queue's needs the queue's prefix."""
    queue = merge_queue_of(branch)
    return (queue is None or queue.rstrip("/_") in pattern) and name_matches(pattern, branch)


@dataclass(frozen=True, slots=True)
class AppTags:
    """The tags of an app that accepts only newer ones.

    Attributes:
        deployed: those that it was or may have been deployed for.
        under_way: those whose deployments are open, in their order, with their ids.
    """

    deployed: Sequence[str] = ()
    under_way: Mapping[str, str] = field(default_factory=dict)

    def newer_under_way(self, tag: str, rules: Rules) -> tuple[str, str] | None:
        """Return the last of the newer tags with open deployments, with the deployment's id."""
        newer = _newer_ones(tag, rules, self.under_way) if rules.only_newer else []
        return (newer[-1], self.under_way[newer[-1]]) if newer else None

    def with_one_more(self, tag: str, deployment: str) -> "AppTags":
        """Return these tags and one whose deployment was just decided."""
        others = {name: id_ for name, id_ in self.under_way.items() if name != tag}
        return replace(self, under_way={**others, tag: deployment})


NO_TAGS = AppTags()


def tag_problem(tag: str, rules: Rules, before: Iterable[str]) -> tuple[bool, str] | None:
    """Return why a tag does not deploy; None if it does.

    Args:
        before: tags that the app has been deployed for, in any order.

    Returns:
        Whether it is merely too old, and the reason in words.
    """
    if rules.tags is not None and not name_matches(rules.tags, tag):
        return False, f"tag {tag} does not match {rules.tags}"
    if not _asks_for_versions(rules):
        return None
    version = version_of(tag, rules.tag_prefix)
    if version is None:
        prefix = rules.tag_prefix
        wanted = "1.2.3 or v1.2.3" if prefix is None else f"{prefix}1.2.3"
        return False, f"tag {tag} names no version; it waits for tags like {wanted}"
    if rules.versions is not None and (why := _outside(version, rules.versions)) is not None:
        return False, why
    unsaid = Prereleases.DEPLOY if rules.versions is None else Prereleases.SKIP
    policy = rules.prereleases or unsaid
    if version.prerelease and policy is Prereleases.SKIP:
        return False, f"version {version} is a pre-release, and those are skipped"
    if not version.prerelease and policy is Prereleases.ONLY:
        return False, f"version {version} is a release, and only pre-releases deploy"
    return _too_old(tag, rules, before) if rules.only_newer else None


def _asks_for_versions(rules: Rules) -> bool:
    said = (rules.versions, rules.tag_prefix, rules.prereleases)
    return bool(rules.only_newer) or any(one is not None for one in said)


def _outside(version: Version, versions: str) -> str | None:
    try:
        return None if version in _range(versions) else f"version {version} is not in {versions}"
    except BadRange as error:  # settings are validated; this keeps decisions total anyway
        return f"the versions it waits for can't be read: {error}"


def _too_old(tag: str, rules: Rules, before: Iterable[str]) -> tuple[bool, str] | None:
    newer = _newer_ones(tag, rules, before)
    if not newer:
        return None
    versions = {name: version for name in newer if (version := version_of(name, rules.tag_prefix))}
    newest = max(versions, key=lambda name: versions[name])
    return True, f"tag {tag} is older than {newest}, which has been deployed"


def _newer_ones(tag: str, rules: Rules, others: Iterable[str]) -> list[str]:
    """Return the other tags with a newer version, in their order."""
    version = version_of(tag, rules.tag_prefix)
    if version is None:
        return []
    named = [(other, version_of(other, rules.tag_prefix)) for other in others]
    return [other for other, its in named if its is not None and its > version]


_glob = lru_cache(maxsize=8192)(Glob)
_range = lru_cache(maxsize=8192)(Range.parse)
