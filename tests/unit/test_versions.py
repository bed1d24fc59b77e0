"""Tags as versions, and ranges: what npm's `semver` says, compared with it when written."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from semver import Version

from bridge.core.apps import Prereleases
from bridge.core.rules import LONGEST, BadRange, Range, version_of
from tests.worlds.rows import each_row

TABLE = {
    "1.2.3": ("1.2.3 1.2.3+build", "1.2.2 1.2.4 1.2.3-rc.1 0.2.3"),
    "=1.2.3": ("1.2.3", "1.2.4"),
    "v1.2.3": ("1.2.3", "1.2.4"),
    "= v1.2.3": ("1.2.3", "1.2.4"),
    "1.2.3-rc.1": ("1.2.3-rc.1 1.2.3-rc.1+build", "1.2.3 1.2.3-rc.2 1.2.3-rc"),
    "1.2.3+build": ("1.2.3 1.2.3+other", "1.2.4"),
    "0.0.0": ("0.0.0", "0.0.0-0 0.0.1"),
    ">1.2.3": ("1.2.4 1.2.4-0 2.0.0", "1.2.3 1.2.3-rc.1 1.2.3+build"),
    ">=1.2.3": ("1.2.3 1.2.4-rc.1 9.0.0", "1.2.2 1.2.3-rc.1"),
    ">= 1.2.3": ("1.2.3", "1.2.2"),
    "<1.2.3": ("1.2.2 0.0.0-0 1.2.3-rc.1", "1.2.3 1.2.3+build"),
    "<=1.2.3": ("1.2.3 1.2.3-rc.1", "1.2.4-0 1.2.4"),
    ">1.2.3-rc.1": ("1.2.3-rc.2 1.2.3-rc.1.0 1.2.3", "1.2.3-rc.1 1.2.3-rc.0 1.2.3-beta"),
    "<=1.2.3-rc.1": ("1.2.3-rc.1 1.2.3-beta", "1.2.3-rc.2 1.2.3"),
    # bounds that leave parts out
    "1": ("1.0.0 1.99.99 1.0.0-0", "0.9.9 2.0.0-0 2.0.0"),
    "1.2": ("1.2.0 1.2.9 1.2.0-0", "1.1.9 1.3.0-0 1.3.0"),
    "1.x": ("1.0.0 1.9.0-rc.1", "2.0.0"),
    "1.X.x": ("1.0.0", "2.0.0-rc.1"),
    "1.2.*": ("1.2.3", "1.3.0"),
    ">1": ("2.0.0 2.0.0-0", "1.0.0 1.99.0"),
    ">1.2": ("1.3.0 1.3.0-0", "1.2.99"),
    ">=2": ("2.0.0 2.0.0-rc.1 3.0.0", "1.99.99"),
    ">=1.2": ("1.2.0 1.2.0-rc.1", "1.1.99"),
    "<2": ("1.99.99", "2.0.0-rc 2.0.0-0 2.0.0"),
    "<1.2": ("1.1.99", "1.2.0-0 1.2.0"),
    "<=1": ("1.99.99 0.0.1", "2.0.0-0 2.0.0"),
    "<=1.2": ("1.2.99", "1.3.0-0"),
    "=1": ("1.5.0", "2.0.0"),
    # everything and nothing
    "*": ("0.0.0 0.0.0-0 9.9.9", ""),
    "": ("1.2.3 1.2.3-rc.1", ""),
    " ": ("1.2.3", ""),
    "x": ("1.2.3", ""),
    ">=*": ("1.2.3 0.0.0-0", ""),
    "<=x": ("1.2.3", ""),
    "^*": ("1.2.3", ""),
    "~x": ("1.2.3", ""),
    ">*": ("", "0.0.0 1.2.3"),
    "<*": ("", "0.0.0 1.2.3 0.0.0-0"),
    ">2 <1": ("", "0.5.0 1.5.0 2.5.0 3.0.0"),
    "<0.0.0-0": ("", "0.0.0-0 0.0.0"),
    # ^: nothing changes left of the first part that is not zero
    "^1.2.3": ("1.2.3 1.9.0 1.3.0-rc.1", "1.2.2 1.2.3-rc.1 2.0.0-0 2.0.0"),
    "^1.2": ("1.2.0 1.9.9", "1.1.9 2.0.0-rc.1"),
    "^1": ("1.0.0 1.9.9", "0.9.9 2.0.0"),
    "^1.x": ("1.0.0", "2.0.0"),
    "^0.2.3": ("0.2.3 0.2.9", "0.2.2 0.3.0-0 0.3.0 1.0.0"),
    "^0.2": ("0.2.0 0.2.9", "0.3.0"),
    "^0.0.3": ("0.0.3", "0.0.2 0.0.4-0 0.0.4"),
    "^0.0": ("0.0.0 0.0.9", "0.1.0-0 0.1.0"),
    "^0": ("0.0.0 0.9.9", "1.0.0-0 1.0.0"),
    "^0.0.0": ("0.0.0", "0.0.1"),
    "^1.2.3-beta.2": ("1.2.3-beta.2 1.2.3-beta.10 1.2.3 1.9.0", "1.2.3-beta.1 2.0.0"),
    # ~: only the last part that is named may grow
    "~1.2.3": ("1.2.3 1.2.9", "1.2.2 1.3.0-0 1.3.0"),
    "~1.2": ("1.2.0 1.2.9", "1.3.0"),
    "~1": ("1.0.0 1.9.0", "2.0.0-0 2.0.0"),
    "~0.2.3": ("0.2.3", "0.3.0"),
    "~>1.2": ("1.2.9", "1.3.0"),
    "~> 1.2": ("1.2.9", "1.3.0"),
    "~1.2.3-rc.1": ("1.2.3-rc.1 1.2.3 1.2.4", "1.2.3-beta 1.3.0"),
    # from - to
    "1.2 - 1.4": ("1.2.0 1.4.9", "1.1.9 1.5.0-0"),
    "1.2.3 - 1.4.5": ("1.2.3 1.4.5", "1.2.2 1.4.6"),
    "1 - 2": ("1.0.0 1.0.0-0 2.9.9", "0.9.9 3.0.0-0"),
    "1.2.3 - 2": ("1.2.3 2.9.9", "1.2.2 3.0.0"),
    "1.2.3-rc.1 - 2.0.0-rc.1": ("1.2.3-rc.1 2.0.0-rc.1", "1.2.3-beta 2.0.0-rc.2 2.0.0"),
    " v1  -  v2 ": ("1.0.0", "3.0.0"),
    "* - 2": ("0.0.0 2.9.9", "3.0.0"),
    # and, or
    ">=1.2 <2": ("1.2.0 1.9.9", "1.1.9 2.0.0-rc.1 2.0.0"),
    ">=1.2  \t <2 ": ("1.2.0", "2.0.0"),
    ">=1.2 <1.9 <1.5": ("1.4.0", "1.5.0 1.9.0"),
    "1.2.3 || 2.x": ("1.2.3 2.9.0", "1.2.4 3.0.0"),
    "1.2.3||2.x": ("1.2.3 2.9.0", "1.2.4"),
    "<1 || >=2 <3 || 4.1 - 4.3": ("0.9.0 2.5.0 4.2.0", "1.0.0 3.0.0 4.4.0"),
    "1 ||": ("1.0.0 5.0.0", ""),
    "1.2.3 1.2.3": ("1.2.3", "1.2.4"),
}
"""Ranges, each with versions that are in it and versions that are not."""


@each_row("text", TABLE)
def test_a_version_is_in_a_range_or_not(text: str) -> None:
    within, without = (versions.split() for versions in TABLE[text])
    found = Range.parse(text)

    assert [one for one in within + without if Version.parse(one) in found] == within


def test_the_table_is_long() -> None:
    assert sum(len((within + " " + without).split()) for within, without in TABLE.values()) > 200


def test_we_differ_from_npm_where_it_differs_from_itself() -> None:
    """There `1.2.3 - 2` contains 1.2.3-rc.1 (with includePrerelease), `>=1.2.3` does not."""
    assert Version.parse("1.2.3-rc.1") not in Range.parse("1.2.3 - 2")


@each_row(
    ("text", "why"),
    [
        ("latest", "'latest' is no version; write e.g. 1.2.3, 1.2 or 1.x"),
        ("1.2.3.4", "'1.2.3.4' is no version"),
        ("01.2", "'01.2' is no version"),
        ("1.02", "is no version"),
        ("1.2.03", "is no version"),
        ("1.", "is no version"),
        (".1", "is no version"),
        ("-1", "is no version"),
        ("V1", "is no version"),
        ("vv1", "is no version"),
        (">", "is no version"),
        ("1 >", "is no version"),
        ("^", "is no version"),
        ("==1", "is no version"),
        ("=>1", "is no version"),
        ("^~1", "is no version"),
        ("> = 1", "is no version"),
        (">=1.2<2", "is no version"),
        (">=1.2, <2", "is no version"),
        (">=1.2,<2", "is no version"),
        ("1 | 2", "is no version"),
        ("1 or 2", "is no version"),
        ("1 - 2 - 3", "is no version"),
        ("1 -2", "is no version"),
        (">=1 - 2", "is no version"),
        ("1 || latest", "'latest' is no version"),
        ("1.2-rc", "is no version"),
        ("1.2.3-", "is no version"),
        ("1.2.3+", "is no version"),
        ("1.2.3-rc..1", "'rc..1' is no pre-release"),
        ("1.2.3-01", "'01' is no pre-release"),
        ("1.2.3-rc_1", "is no version"),
        ("1.x.3", "has a number after an x; leave it out"),
        ("x.1", "has a number after an x; leave it out"),
        ("1.2.x-rc", "has a pre-release after an x; leave it out"),
        ("1.\N{ARABIC-INDIC DIGIT TWO}", "is no version"),
        ("1 " * LONGEST, "at most 256 characters"),
    ],
)
def test_a_malformed_range_says_which_part_is_at_fault(text: str, why: str) -> None:
    with pytest.raises(BadRange, match=re.escape(why)):
        Range.parse(text)


_PARTS = st.sampled_from(
    [
        *"0129xX*v.-+<>=~^| ",
        "10",
        "||",
        " - ",
        ">=",
        "rc",
        "\n",
        "\x00",
        "é",
        "\N{FULLWIDTH DIGIT ONE}",
    ]
)


@settings(max_examples=40)
@given(st.lists(_PARTS, max_size=30).map("".join) | st.text(max_size=300))
@example("1" * LONGEST)
@example(f"1.2.3-{'0' * 240}")
@example(f"{' ' * 250}1 -")
def test_whatever_is_given_is_a_range_or_a_bad_one(text: str) -> None:
    try:
        found = Range.parse(text)
    except BadRange:
        return
    assert (Version(1, 2, 3, "rc.1") in found) in (True, False)


_NUMBERS = st.integers(0, 3)
_VERSIONS = st.builds(
    Version, _NUMBERS, _NUMBERS, _NUMBERS, st.sampled_from([None, "0", "alpha", "rc.1", "rc.2"])
)
_BOUNDS = _VERSIONS.flatmap(
    lambda v: st.sampled_from([str(v), f"{v.major}.{v.minor}", f"{v.major}"])
)


@settings(max_examples=40)
@given(_BOUNDS, _VERSIONS)
def test_no_version_falls_between_two_ranges_that_meet(bound: str, version: Version) -> None:
    for below, above in (("<", ">="), ("<=", ">")):
        both = version in Range.parse(below + bound), version in Range.parse(above + bound)
        assert sorted(both) == [False, True]


@settings(max_examples=40)
@given(_BOUNDS, _VERSIONS)
def test_a_bound_alone_is_what_is_neither_below_nor_above_it(bound: str, version: Version) -> None:
    is_it = version in Range.parse(bound)

    assert is_it is (version in Range.parse(f">={bound} <={bound}"))


@settings(max_examples=40)
@given(_BOUNDS, _BOUNDS, _VERSIONS)
def test_from_to_is_both_and_bars_are_either(one: str, other: str, version: Version) -> None:
    def inside(text: str) -> bool:
        return version in Range.parse(text)

    assert inside(f"{one} - {other}") is inside(f">={one} <={other}")
    assert inside(f"^{one} || ~{other}") is (inside(f"^{one}") or inside(f"~{other}"))
    assert inside(f"^{one} ~{other}") is (inside(f"^{one}") and inside(f"~{other}"))


@each_row(
    ("tag", "prefix", "version"),
    [
        ("1.2.3", None, "1.2.3"),
        ("v1.2.3", None, "1.2.3"),
        ("v1.2.3-rc.1+build.5", None, "1.2.3-rc.1+build.5"),
        ("v0.0.0", None, "0.0.0"),
        ("v10.20.30", None, "10.20.30"),
        ("api-v1.2.3", "api-v", "1.2.3"),
        ("api/v1.2.3", "api/v", "1.2.3"),
        ("release-1.2.3-rc.1", "release-", "1.2.3-rc.1"),
        ("1.2.3", "", "1.2.3"),
        ("v1.2.3", "", None),
        ("v1.2.3", "v", "1.2.3"),
        ("1.2.3", "v", None),
        ("v1.2.3", "api-v", None),
        ("web-v1.2.3", "api-v", None),
        ("api-vv1.2.3", "api-v", None),
        ("api-v", "api-v", None),
        ("API-v1.2.3", "api-v", None),
        ("vv1.2.3", None, None),
        ("V1.2.3", None, None),
        ("v1.2", None, None),
        ("v1", None, None),
        ("v1.2.3.4", None, None),
        ("v01.2.3", None, None),
        ("v1.02.3", None, None),
        ("v1.2.03", None, None),
        ("v1.2.3-01", None, None),
        ("v1.2.3-0a", None, "1.2.3-0a"),
        ("v1.2.3-0", None, "1.2.3-0"),
        ("v1.2.3-rc.01", None, None),
        ("v1.2.3+01", None, "1.2.3+01"),
        ("v1.2.3-", None, None),
        ("v1.2.3+", None, None),
        ("v1.2.3-a..b", None, None),
        ("v1.2.3-é", None, None),
        ("v1.2.3\n", None, None),
        (" v1.2.3", None, None),
        ("v1.2.\N{ARABIC-INDIC DIGIT TWO}", None, None),
        ("nightly", None, None),
        ("", None, None),
        ("v" + "1" * 300 + ".0.0", None, None),
    ],
)
def test_a_tag_names_a_version_or_none(tag: str, prefix: str | None, version: str | None) -> None:
    found = version_of(tag, prefix)

    assert (None if found is None else str(found)) == version


def test_prereleases_come_in_the_order_of_the_specification() -> None:
    """SemVer 2.0.0, paragraph 11: the example there, numbers before words, shorter first."""
    ordered = [
        *("1.0.0-0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-0a", "1.0.0-A", "1.0.0-a"),
        *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"),
        *("1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-0", "2.0.0", "2.1.0", "2.1.1", "10.0.0"),
    ]

    for lower, higher in pairwise(ordered):
        assert Version.parse(higher) in Range.parse(f">{lower}")
        assert Version.parse(lower) in Range.parse(f"<{higher}")


@settings(max_examples=40)
@given(st.text(max_size=40), st.none() | st.text(max_size=3))
def test_any_tag_may_come(tag: str, prefix: str | None) -> None:
    version_of(tag, prefix)


_TESTS = st.builds(
    lambda sign, bound: f"{sign}{bound}",
    st.sampled_from(["<", "<=", ">", ">=", "^", "~", ""]),
    _BOUNDS,
)


@settings(max_examples=3 * settings().max_examples)
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
        (">2 <1", ""),
        (">1.2.3 <1.2.3", ""),
        ("<0.0.0-0", ""),
        (">1.2.3 <1.2.4", "deploy only"),
        ("1.2.3-rc.1", "deploy only"),
        ("1.2.3", "deploy skip"),
        (">2 <1 || 3", "deploy skip only"),
        ("*", "deploy skip only"),
    ],
)
def test_a_range_says_whether_it_holds_any_version(text: str, holds: str) -> None:
    found = [policy for policy in Prereleases if Range.parse(text).holds_any(policy)]

    assert sorted(found) == sorted(holds.split())
