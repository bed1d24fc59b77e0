"""`docs/benchmarks.md`, as a run of the benchmark writes it."""

from collections.abc import Sequence
from typing import Any

from tests.bench.harness.rows import Row, table

INTRODUCTION = """# Benchmarks

`make bench` wrote this page; `make bench BENCH="--markdown docs/benchmarks.md"` rewrites it, and
`--long` runs at full size what the short run scales down. `make bench-peers`
installs the other receivers of webhooks first (npm, PyPI, Debian); without them their rows are
left out.

- The real server runs in a process of its own on one core, the load generator
  (`tests/bench/load/load.c`) on another. Webhooks are pushes as GitHub sends them, signed
  beforehand, with delivery ids that look random.
- Ratios are medians of rounds in which everything has its turn, in another order each time, on a
  disk that has settled and while none of the others is at work. A round that was disturbed from
  outside, by use of the CPU or of the disk, is void and repeated.
- The *floor* is what no server in Python does better: bare aiohttp on uvloop that reads the body
  and answers. What the bridge acknowledges is on disk (`fdatasync`); none of the others keeps
  anything, but for the variant with a transaction for each request.
- Latency in the open loop counts from when a request was due, not from when it was sent.
- Afterwards the databases are read back: every 202 must be there, exactly once.
- CPU µs a request is the steadiest figure on a machine that is not quite quiet.
- Targets in seconds and per second were set on a machine whose floor takes 47 µs of CPU for a
  request of 20 KB. On a slower one, such a figure is judged at that pace, which stands beside it;
  a faster one gets no discount.
- A ratio to the floor falls where the floor alone is faster: signature, packing and disk, most of
  what keeping a webhook adds, cost the same there. Such a ratio is judged with the floor of the
  targets' machine and what was added here; both stand in the row.
- `--against COMMIT` measures a section in which a must is missed again, in turn with that commit's
  own bench. What is then no worse than that commit on this machine is not lost.
"""


def page(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    """The whole page."""
    facts = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in machine.items())
    return f"{INTRODUCTION}\n## The machine\n\n{facts}\n\n## The figures\n\n{table(rows)}\n"
