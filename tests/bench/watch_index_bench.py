"""How long do watch paths take? Ours beside micromatch in Node, in the same run.

    python tests/bench/watch_index_bench.py [--json FILE] [--without-node]

A repository with many apps, ten patterns each: directories of the app's own, libraries and
files that it shares with others, file types. A big push is a codemod over some apps and
many files that nobody watches; a small one is an ordinary commit.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# ruff: noqa: E402 - needs the path below
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bridge.core.apps import App, Rules, Source, SourceType
from bridge.core.decision import Decision, Policy, decide
from bridge.core.events import Commit, Ref, RefKind, RefPushed, Repository
from bridge.core.matching.watch_index import WatchIndex
from bridge.core.matching.watch_paths import Semantics
from bridge.pipeline.deciding.apps import Watched, apps_of, index
from tests.contract.globs.micromatch_in_node import Node, unavailable

PATTERNS_PER_APP = 10
SHARED = ("package.json", "**/Dockerfile", "**/*.proto", "tools/*.{js,mjs}", "config/**/*.y*ml")
WORDS = ("api", "auth", "button", "cart", "client", "index", "model", "page", "store", "utils")


def app_patterns(number: int, chance: random.Random, *, negation: bool) -> list[str]:
    own = f"apps/app-{number:04}"
    patterns = [
        f"{own}/**",
        f"charts/app-{number:04}/*.yaml",
        f"deploy/{{staging,production}}/app-{number:04}.env",
        f".github/workflows/app-{number:04}.yml",
    ]
    patterns += [f"libs/lib-{chance.randrange(400):03}/src/**" for _ in range(3)]
    patterns += chance.sample(SHARED, 2 if negation else 3)
    if negation:
        patterns.append("!**/*.md")
    return patterns


def apps(count: int, *, negation: bool = False) -> dict[str, list[str]]:
    chance = random.Random(count)
    return {f"app{n}": app_patterns(n, chance, negation=negation) for n in range(count)}


def push(files: int, touched: Sequence[int]) -> list[str]:
    """A tenth of the files lies in `touched` apps, the rest where nobody looks."""
    chance = random.Random(files)
    paths = []
    for number in range(files):
        deep = "/".join(chance.choices(WORDS, k=chance.randint(1, 4)))
        name = f"{chance.choice(WORDS)}{number}.{chance.choice(['ts', 'tsx', 'css', 'md', 'snap'])}"
        if touched and number % 10 == 0:
            paths.append(f"apps/app-{chance.choice(touched):04}/src/{deep}/{name}")
        else:
            paths.append(f"vendor/{chance.choice(WORDS)}-{number % 300}/{deep}/{name}")
    chance.shuffle(paths)
    return paths


def timed(action: Callable[[], object], times: int) -> float:
    """Give the median in milliseconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def built(watched: dict[str, list[str]], semantics: Semantics) -> WatchIndex:
    index = WatchIndex(semantics)
    for app, patterns in watched.items():
        index.add(app, patterns)
    return index


def decision_rows(node: Node | None) -> list[dict[str, Any]]:
    rows = []
    for app_count, file_count, touched, limit in (
        (5_000, 10_000, 200, 20.0),
        (5_000, 10_000, 5_000, None),
        (1_000, 10, 1, 0.2),
    ):
        watched = apps(app_count)
        files = push(file_count, range(touched))
        index = built(watched, "any")
        first = timed(lambda: index.decide(files), 1)  # noqa: B023 - called at once
        warm = timed(lambda: index.decide(files), 15)  # noqa: B023
        verdicts = index.decide(files)
        row: dict[str, Any] = {
            "what": f"decide: {app_count} apps x {PATTERNS_PER_APP} patterns x {file_count} files",
            "detail": f"{len(verdicts)} apps hit; first push {first:.1f} ms",
            "ms": warm,
            "limit_ms": limit,
        }
        if node is not None:
            answer = node.some_for_all(list(watched.values()), files)
            row["node_ms"] = answer["ms"]
            hits = [app in verdicts for app in watched]
            row["agrees"] = hits == answer["hits"]
        rows.append(row)
    return rows


def exclude_row() -> dict[str, Any]:
    watched = apps(5_000, negation=True)
    files = push(10_000, range(200))
    index = built(watched, "exclude")
    index.decide(files)
    return {
        "what": "decide: the same with `!**/*.md` in each list, semantics exclude",
        "detail": f"{len(index.decide(files))} apps hit",
        "ms": timed(lambda: index.decide(files), 15),
        "limit_ms": 20.0,
    }


def journey_row() -> dict[str, Any]:
    """All that the journey asks for a push: every app's rule by rule decision, with evidence."""
    source = Source(SourceType.GITHUB, "my-org/mono", branch="main")
    those = [
        App(name, name, "shop", source=source, watch_paths=tuple(patterns), rules=rules)
        for rules in (Rules(), Rules(branch="{main,release/*}"))
        for name, patterns in apps(5_000, negation=True).items()
        if (int(name.removeprefix("app")) % 2 == 0) is (rules == Rules())
    ]
    push_ = RefPushed(
        Repository("github", "1", "my-org/mono"),
        Ref(RefKind.BRANCH, "main"),
        "a" * 40,
        "b" * 40,
        Commit("b" * 40, "feat: something"),
        paths=tuple(push(10_000, range(200))),
    )
    policy, snapshot, watched = Policy(), index(those), Watched(Policy())
    watched.update(snapshot)

    def decided() -> list[Decision]:
        matcher = watched.matcher(push_)
        repository = push_.repository
        return [
            decide(push_, app, policy, matcher=matcher) for app in apps_of(snapshot, repository)
        ]

    hits = sum(decision.deploy for decision in decided())
    return {
        "what": "the journey: 5000 decisions with evidence, half of the apps with rules",
        "detail": f"{hits} apps deploy; {timed(lambda: watched.update(snapshot), 5):.1f} ms to find"
        " that no app has changed",
        "ms": timed(decided, 15),
        "limit_ms": 100.0,
    }


def build_rows() -> list[dict[str, Any]]:
    watched = apps(5_000)
    cold = timed(lambda: built(watched, "exclude"), 3)
    index = built(watched, "exclude")
    chance = random.Random(1)
    extra = [app_patterns(6_000 + n, chance, negation=True) for n in range(200)]
    adds = iter(enumerate(extra))

    def add_one() -> None:
        number, patterns = next(adds)
        index.add(f"extra{number}", patterns)

    return [
        {"what": "cold build: 5000 apps", "detail": "", "ms": cold, "limit_ms": 2_000.0},
        {"what": "add one app", "detail": "", "ms": timed(add_one, 200), "limit_ms": 1.0},
        {
            "what": "cold build in a thread: longest stall of the event loop",
            "detail": "",
            "ms": asyncio.run(_longest_stall(watched)),
            "limit_ms": None,
        },
    ]


async def _longest_stall(watched: dict[str, list[str]]) -> float:
    building = asyncio.create_task(asyncio.to_thread(built, watched, "exclude"))
    longest = 0.0
    while not building.done():
        start = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - start)
    await building
    return longest * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--without-node", action="store_true")
    options = parser.parse_args()
    reason = "not asked for" if options.without_node else unavailable()
    node = None if reason else Node("2.3.1")
    try:
        rows = [*decision_rows(node), exclude_row(), journey_row(), *build_rows()]
    finally:
        if node is not None:
            node.close()
    for row in rows:
        print(_line(row))  # noqa: T201 - a script's output
    if reason:
        print(f"without Node: {reason}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _line(row: dict[str, Any]) -> str:
    limit = "" if row["limit_ms"] is None else f" (limit {row['limit_ms']:g})"
    line = f"{row['what']}\n    {row['ms']:10.3f} ms{limit}"
    if "node_ms" in row:
        agrees = "same verdicts" if row["agrees"] else "DIFFERENT VERDICTS"
        line += f"; micromatch.some in Node {row['node_ms']:,.0f} ms, "
        line += f"{row['node_ms'] / row['ms']:,.0f} times as long, {agrees}"
    return f"{line}; {row['detail']}" if row["detail"] else line


if __name__ == "__main__":
    main()
