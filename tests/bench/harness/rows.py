"""What was measured, beside what it must be and what is reached for."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        must, reach: its targets; None where it has none.
        more_is_better: as of rates; less is of times.
        pace: how many times slower this machine is than the targets', for what bounds the figure.
        before: what an earlier commit showed in the same run, where it was measured.
        more: what else was measured with it.
    """

    group: str
    what: str
    value: float
    unit: str
    must: float | None = None
    reach: float | None = None
    more_is_better: bool = False
    pace: float = 1.0
    before: Sequence[float] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """How it compares with its targets."""
        if self.must is None:
            return ""
        if self.reach is not None and self._fits(self.reach):
            return "reached"
        if self._fits(self.must):
            return "meets the must"
        return "no worse than before" if self._holds else "MISSES THE MUST"

    @property
    def missed(self) -> bool:
        """Whether a must is lost."""
        return self.verdict == "MISSES THE MUST"

    @property
    def _holds(self) -> bool:
        """Whether the earlier commit showed as much, within what its own runs differ by."""
        if not self.before:
            return False
        worst = (min if self.more_is_better else max)(self.before)
        return self.value >= worst if self.more_is_better else self.value <= worst

    @property
    def at_pace(self) -> float:
        """The value that the targets' machine would have shown."""
        return self.value * self.pace if self.more_is_better else self.value / self.pace

    def _fits(self, target: float) -> bool:
        return self.at_pace >= target if self.more_is_better else self.at_pace <= target

    def as_json(self) -> dict[str, Any]:
        """Everything, with the verdict."""
        return asdict(self) | {"verdict": self.verdict}


def table(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table, which people can read as it is."""
    head = ("what", "measured", "must", "reach for", "", "with it")
    lines = [head, ("---", "---:", "---:", "---:", "---", "---")]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append((f"**{group}**", "", "", "", "", ""))
        paced = {} if row.pace == 1.0 else {"at the targets' pace": shown(row.at_pace)}
        more = ", ".join(f"{name} {value}" for name, value in (paced | row.more).items())
        sign = "≥ " if row.more_is_better else "≤ "
        lines.append(
            (
                row.what,
                f"{shown(row.value)} {row.unit}".strip(),
                "" if row.must is None else sign + shown(row.must),
                "" if row.reach is None else sign + shown(row.reach),
                row.verdict,
                more,
            )
        )
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def shown(value: float) -> str:
    """A number with as many digits as tell something."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
