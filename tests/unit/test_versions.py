"""Tags as versions, and ranges: what npm's `semver` says, compared with it when written."""

import contextlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from semver import Version

from bridge.core.apps import Prereleases
from bridge.core.rules import LONGEST, BadRange, Range, version_of
from tests.worlds.rows import each_row

TABLE = {
    "1.2.3": ("1.2.3 1.2.3+build", "1.2.2 1.2.4 1.2.3-rc.1 0.2.3"),
    "= v1.2.3": ("1.2.3", "1.2.4"),
    "1.2.3-rc.1": ("1.2.3-rc.1 1.2.3-rc.1+build", "1.2.3 1.2.3-rc.2 1.2.3-rc"),
    ">1.2.3": ("1.2.4 1.2.4-0 2.0.0", "1.2.3 1.2.3-rc.1 1.2.3+build"),
    ">=1.2.3": ("1.2.3 1.2.4-rc.1 9.0.0", "1.2.2 1.2.3-rc.1"),
    "<1.2.3": ("1.2.2 0.0.0-0 1.2.3-rc.1", "1.2.3 1.2.3+build"),
    "<=1.2.3": ("1.2.3 1.2.3-rc.1", "1.2.4-0 1.2.4"),
    ">1.2.3-2": ("1.2.3-10 1.2.3-a 1.2.3-2.0", "1.2.3-1 1.2.3-2"),  # numbers before words
    ">1.2.3-rc.1": ("1.2.3-rc.2 1.2.3-rc.1.0 1.2.3", "1.2.3-rc.1 1.2.3-rc.0 1.2.3-beta"),
    "<=1.2.3-rc.1": ("1.2.3-rc.1 1.2.3-beta", "1.2.3-rc.2 1.2.3"),
    # bounds that leave parts out
    "1": ("1.0.0 1.99.99 1.0.0-0", "0.9.9 2.0.0-0 2.0.0"),
    "1.x": ("1.0.0 1.9.0-rc.1", "2.0.0"),
    ">1": ("2.0.0 2.0.0-0", "1.0.0 1.99.0"),
    "<2": ("1.99.99", "2.0.0-rc 2.0.0-0 2.0.0"),
    "<=1": ("1.99.99 0.0.1", "2.0.0-0 2.0.0"),
    # everything and nothing
    "*": ("0.0.0 0.0.0-0 9.9.9", ""),
    "": ("1.2.3 1.2.3-rc.1", ""),
    "^*": ("1.2.3", ""),
    "~x": ("1.2.3", ""),
    ">*": ("", "0.0.0 1.2.3"),
    "<*": ("", "0.0.0 1.2.3 0.0.0-0"),
    # ^: nothing changes left of the first part that is not zero
    "^1.2.3": ("1.2.3 1.9.0 1.3.0-rc.1", "1.2.2 1.2.3-rc.1 2.0.0-0 2.0.0"),
    "^0.2.3": ("0.2.3 0.2.9", "0.2.2 0.3.0-0 0.3.0 1.0.0"),
    "^0.0.3": ("0.0.3", "0.0.2 0.0.4-0 0.0.4"),
    "^1.2.3-beta.2": ("1.2.3-beta.2 1.2.3-beta.10 1.2.3 1.9.0", "1.2.3-beta.1 2.0.0"),
    # ~: only the last part that is named may grow
    "~1.2.3": ("1.2.3 1.2.9", "1.2.2 1.3.0-0 1.3.0"),
    "~>1.2": ("1.2.9", "1.3.0"),
    "~1.2.3-rc.1": ("1.2.3-rc.1 1.2.3 1.2.4", "1.2.3-beta 1.3.0"),
    # from - to
    "1.2 - 1.4": ("1.2.0 1.4.9", "1.1.9 1.5.0-0"),
    "1.2.3 - 2": ("1.2.3 2.9.9", "1.2.2 1.2.3-rc.1 3.0.0"),  # where npm contradicts itself
    "1.2.3-rc.1 - 2.0.0-rc.1": ("1.2.3-rc.1 2.0.0-rc.1", "1.2.3-beta 2.0.0-rc.2 2.0.0"),
    " v1  -  v2 ": ("1.0.0", "3.0.0"),
    # and, or
    ">=1.2 <2": ("1.2.0 1.9.9", "1.1.9 2.0.0-rc.1 2.0.0"),
    ">=1.2 <1.9 <1.5": ("1.4.0", "1.5.0 1.9.0"),
    "1.2.3 || 2.x": ("1.2.3 2.9.0", "1.2.4 3.0.0"),
    "<1 || >=2 <3 || 4.1 - 4.3": ("0.9.0 2.5.0 4.2.0", "1.0.0 3.0.0 4.4.0"),
    "1 ||": ("1.0.0 5.0.0", ""),
}
"""Ranges, each with versions that are in it and versions that are not."""


@each_row("text", TABLE)
def test_a_version_is_in_a_range_or_not(text: str) -> None:
    within, without = (versions.split() for versions in TABLE[text])
    found = Range.parse(text)

    assert [one for one in within + without if Version.parse(one) in found] == within


IS_NONE = (
    *("01.2", "1.02", "1.2.03", "1.", ".1", "-1", "V1", "vv1", ">", "1 >", "^", "==1", "=>1"),
    *("> = 1", ">=1.2<2", ">=1.2, <2", "1 | 2", "1 - 2 - 3", "1 -2", ">=1 - 2", "1.2-rc"),
    *("1.2.3-", "1.2.3+", "1.2.3-rc_1", "1.\N{ARABIC-INDIC DIGIT TWO}"),
)


@each_row(
    ("text", "why"),
    [
        *((text, "is no version") for text in IS_NONE),
        ("latest", "'latest' is no version; write e.g. 1.2.3, 1.2 or 1.x"),
        ("1 || latest", "'latest' is no version"),
        ("1.2.3-rc..1", "'rc..1' is no pre-release"),
        ("1.2.3-01", "'01' is no pre-release"),
        ("1.x.3", "has a number after an x; leave it out"),
        ("1.2.x-rc", "has a pre-release after an x; leave it out"),
        ("1 " * LONGEST, "at most 256 characters"),
    ],
)
def test_a_malformed_range_says_which_part_is_at_fault(text: str, why: str) -> None:
    with pytest.raises(BadRange, match=re.escape(why)):
        Range.parse(text)


_PARTS = st.sampled_from(
    [*"0129xX*v.-+<>=~^| é\n\0\N{FULLWIDTH DIGIT ONE}", "10", "||", " - ", ">=", "rc"]
)


@settings(max_examples=40)
@given(st.lists(_PARTS, max_size=30).map("".join) | st.text(max_size=300))
@example("1" * LONGEST)
@example(f"1.2.3-{'0' * 240}")
@example(f"{' ' * 250}1 -")
def test_whatever_is_given_is_a_range_or_a_bad_one_and_a_version_or_none(text: str) -> None:
    version_of(text, None)
    version_of(text, text[:2])
    with contextlib.suppress(BadRange):
        assert (Version(1, 2, 3, "rc.1") in Range.parse(text)) in (True, False)


_NUMBERS = st.integers(0, 3)
_VERSIONS = st.builds(
    Version, _NUMBERS, _NUMBERS, _NUMBERS, st.sampled_from([None, "0", "alpha", "rc.1", "rc.2"])
)
_BOUNDS = _VERSIONS.flatmap(
    lambda v: st.sampled_from([str(v), f"{v.major}.{v.minor}", f"{v.major}"])
)


@settings(max_examples=40)
@given(_BOUNDS, _BOUNDS, _VERSIONS)
def test_ranges_that_meet_leave_nothing_out_and_are_put_together_as_they_say(
    one: str, other: str, version: Version
) -> None:
    def inside(text: str) -> bool:
        return version in Range.parse(text)

    assert inside(f"<{one}") is not inside(f">={one}")
    assert inside(f"<={one}") is not inside(f">{one}")
    assert inside(one) is inside(f">={one} <={one}")
    assert inside(f"{one} - {other}") is inside(f">={one} <={other}")
    assert inside(f"^{one} || ~{other}") is (inside(f"^{one}") or inside(f"~{other}"))
    assert inside(f"^{one} ~{other}") is (inside(f"^{one}") and inside(f"~{other}"))


NAMES_NONE = (
    *("vv1.2.3", "V1.2.3", "v1.2", "v1.2.3.4", "v01.2.3", "v1.02.3", "v1.2.03", "v1.2.3-01"),
    *("v1.2.3-rc.01", "v1.2.3-", "v1.2.3+", "v1.2.3-a..b", "v1.2.3-é", "v1.2.3\n", " v1.2.3"),
    *("v1.2.\N{ARABIC-INDIC DIGIT TWO}", "nightly", "", "v" + "1" * 300 + ".0.0"),
)


@each_row(
    ("tag", "prefix", "version"),
    [
        *((tag, None, None) for tag in NAMES_NONE),
        ("1.2.3", None, "1.2.3"), ("v1.2.3-rc.1+build.5", None, "1.2.3-rc.1+build.5"),
        ("v10.20.30", None, "10.20.30"), ("v1.2.3-0a", None, "1.2.3-0a"),
        ("v1.2.3-0", None, "1.2.3-0"), ("v1.2.3+01", None, "1.2.3+01"),
        ("api/v1.2.3", "api/v", "1.2.3"), ("1.2.3", "", "1.2.3"), ("v1.2.3", "", None),
        ("v1.2.3", "v", "1.2.3"), ("1.2.3", "v", None),
        *((tag, "api-v", None) for tag in ("v1.2.3", "web-v1.2.3", "api-vv1.2.3", "API-v1.2.3")),
    ],
)  # fmt: skip
def test_a_tag_names_a_version_or_none(tag: str, prefix: str | None, version: str | None) -> None:
    found = version_of(tag, prefix)

    assert (None if found is None else str(found)) == version


_SIGNS = st.sampled_from(["<", "<=", ">", ">=", "^", "~", ""])
_TESTS = st.tuples(_SIGNS, _BOUNDS).map("".join)


@given(st.lists(_TESTS, min_size=1, max_size=3).map(" ".join), _VERSIONS)
@example(">1.2.3-rc.1 <1.2.3", Version(1, 2, 3, "rc.2"))
def test_a_range_that_holds_a_version_is_not_called_empty(text: str, version: Version) -> None:
    found = Range.parse(text)
    policy = Prereleases.ONLY if version.prerelease else Prereleases.SKIP

    if version in found:
        assert found.holds_any()
        assert found.holds_any(policy)


@each_row(
    ("text", "holds"),
    [
        (">2 <1", ""), (">1.2.3 <1.2.3", ""), ("<0.0.0-0", ""), (">1.2.3 <1.2.4", "deploy only"),
        ("1.2.3-rc.1", "deploy only"), ("1.2.3", "deploy skip"), ("*", "deploy skip only"),
        (">2 <1 || 3", "deploy skip only"),
    ],
)  # fmt: skip
def test_a_range_says_whether_it_holds_any_version(text: str, holds: str) -> None:
    found = [policy for policy in Prereleases if Range.parse(text).holds_any(policy)]

    assert sorted(found) == sorted(holds.split())
