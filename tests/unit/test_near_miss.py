"""What came nearest where nothing matched."""

import re
import time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core.matching import Glob, GlobError
from bridge.core.matching.near_miss import NearMiss, near_miss
from bridge.core.matching.watch_paths import WatchPaths
from tests.worlds.rows import each_row

APART = {
    "web/** ← Web/a.ts": "case: `Web/a.ts` differs from `web/**` only in upper and lower case.",
    "web/** ← docs/a.md web/.env": "dot: `web/.env` would match `web/**`, but stars leave out"
    " names that start with a dot.",
    "web/* ← web/a/b.ts": "star: `web/a/b.ts` lies deeper than `web/*` reaches: `*` stays in one"
    " directory, `web/**/*` does not.",
    "web ← web/a.ts": "directory: `web/a.ts` lies in `web`, which asks for a file of that name:"
    " write `web/**`.",
    "web/** ← apps/web/a.ts": "level: `apps/web/a.ts` lies one directory deeper than `web/**` asks"
    " for: write `apps/web/**`.",
    "apps/web/** ← web/a.ts": "level: `web/a.ts` does not lie in `apps`, as `apps/web/**` asks"
    " for: write `web/**`.",
    "src/** !**/*.md ← src/a.md": "excluded: `src/a.md` matches `src/**`, but `!**/*.md` excludes"
    " it.",
    "docs/** apps/web/** ← apps/wbe/a.ts x": "alike: `apps/wbe/a.ts` came nearest to"
    " `apps/web/**`.",
    # the surest cause is told, not the first pair
    "src/** apps/web/** ← srcs/a Apps/web/a": "case: `Apps/web/a` differs from `apps/web/**` only"
    " in upper and lower case.",
}


@each_row(("tried", "said"), APART.items())
def test_what_kept_a_pattern_and_a_file_apart_is_said(tried: str, said: str) -> None:
    patterns, files = (one.split() for one in tried.split(" ← "))

    found = near_miss(patterns, files)

    assert found is not None
    assert f"{found.code}: {found.sentence}" == said
    assert found.pattern in patterns
    assert found.file in files


def test_what_is_far_off_is_not_named_nor_excluded_where_each_pattern_stands_alone() -> None:
    assert near_miss(["apps/web/**"], ["docs/read.md"]) is None
    assert near_miss(["*/**"], ["README"]) is None
    assert near_miss(["[z-a]", ""], ["a"]) is None
    assert near_miss(["web/**"], []) is near_miss(["web/**"], None) is None
    assert near_miss([], ["a"]) is near_miss(None, ["a"]) is None
    assert near_miss(["src/**", "!**/*.md"], ["src/a.md"], "any") is None


def test_the_nearest_of_many_files_is_found_at_once_and_a_hostile_list_is_bounded() -> None:
    files = [f"vendor/a{n % 300}/b{n}/index{n}.ts" for n in range(10_000)]
    files.insert(7_000, "Apps/web/index.ts")
    hostile = [f"*a*a*a*a*a*a*a*b{n}" for n in range(15)] + ["+([a-z]|[a-y])1"]
    start = time.process_time()

    found = near_miss([f"libs/{n}/**" for n in range(9)] + ["apps/web/**"], files)
    near_miss(hostile, ["a" * 4000 + f"/{n}" for n in range(100)])

    assert found is not None
    assert (found.code, found.file) == ("case", "Apps/web/index.ts")
    assert time.process_time() - start < 5


names = st.sampled_from(
    ["web", "Web", "apps", "a.ts", ".env", "*", "**", "*.ts", "!", "{a,b}", "["]
)
lists = st.lists(st.lists(names, min_size=1, max_size=4).map("/".join), max_size=4)


@given(lists, lists)
@settings(max_examples=80)
@example(patterns=["web/**"], files=["{a,b}/web"])
def test_a_remedy_that_is_named_would_have_helped(patterns: list[str], files: list[str]) -> None:
    try:
        hit = WatchPaths.compile(patterns).first_match(files)
    except GlobError:
        hit = None

    found = near_miss(patterns, files)

    if found is None or hit is not None:
        return
    assert isinstance(found, NearMiss)
    assert (found.pattern in patterns, found.file in files) == (True, True)
    remedy = re.search(r"(?:write|directory,) `([^`]+)`", found.sentence)
    if remedy is not None:
        assert Glob(remedy[1]).matches(found.file)
