"""Everything that targets exist for, measured in one run: `make bench`.

    python tests/bench/bench.py [--json FILE] [--markdown FILE] [--long] [--only WORD]
                                 [--against COMMIT]

The real server runs in a process of its own on one core, the load on another. Ratios are medians
of rounds that alternate; a round that others disturbed is void and repeated. Afterwards the
databases are read back: every 202 must be there, exactly once.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import against, console, deciding, held, keeping, under_load
from tests.bench.harness.bench import Bench
from tests.bench.harness.machine import Quiet, facts
from tests.bench.harness.page import page
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import ROOT, built_load

SECTIONS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "keeping": keeping.rows,
    "waiting": under_load.waiting_rows,
    "flood": under_load.flood_rows,
    "size": under_load.size_rows,
    "slow": under_load.slow_rows,
    "deploy": deciding.deploy_rows,
    "backlog": deciding.backlog_rows,
    "held": held.rows,
    "console": console.rows,
    "scripts": deciding.script_rows,
    "life": deciding.life_rows,
}


def main() -> None:
    """Measure, print, and fail where a must is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--markdown", type=Path, help="write the page to this file")
    parser.add_argument("--long", action="store_true", help="with the targets' own numbers")
    parser.add_argument("--rounds", type=int, default=5, help="of each ratio")
    parser.add_argument("--only", choices=sorted(SECTIONS), action="append")
    parser.add_argument("--against", help="judge what misses a must by what this commit takes here")
    given = parser.parse_args()
    if missing := [name for name in ("taskset", "cc") if shutil.which(name) is None]:
        raise SystemExit(f"{' and '.join(missing)} is missing (Debian: util-linux, gcc)")
    base = ROOT / ".cache" / "bench"  # on the disk that the checkout is on, which is a real one
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder:
        machine, rows = measured(Path(folder), given)
    text = page(machine, rows)
    sys.stdout.write(text[text.index("## The machine") :])
    if given.json:
        report = {"machine": machine, "rows": [row.as_json() for row in rows]}
        given.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if given.markdown:
        given.markdown.write_text(text)
    if missed := [row.what for row in rows if row.missed]:
        raise SystemExit(f"missed: {'; '.join(missed)}")


def measured(folder: Path, given: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """The machine's facts and all rows."""
    machine = facts(folder)
    bench = Bench(folder, built_load(folder), Quiet(folder), given.long, given.rounds)
    bench.pace = keeping.pace(bench)
    rows: list[Row] = []
    for name in given.only or SECTIONS:
        found = list(SECTIONS[name](bench))
        rows += against.beside(given.against, name, found) if given.against else found
    machine |= {
        "pace": f"{bench.pace:.2g} times slower than the targets' machine",
        "date": time.strftime("%Y-%m-%d"),
        "took_seconds": round(time.monotonic() - bench.began),
        "rounds_that_were_void": bench.quiet.voided,
        "rounds_that_count_though_disturbed": bench.quiet.disturbed,
    }
    return machine, rows


if __name__ == "__main__":
    main()
