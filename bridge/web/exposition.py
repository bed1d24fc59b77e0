"""The figures in Prometheus' text format; prometheus_client is imported when they are asked for."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bridge.ports.figures import InboxFigures, JournalFigures

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Timings:
    """How many took at most so many seconds."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def histogram(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative buckets as Prometheus has them, and the sum."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else str(bound), float(total)))
        return buckets, self._sum


def of_stores(inbox: InboxFigures, journal: JournalFigures, now: float) -> "Iterator[Metric]":
    """What the stores hold."""
    waiting = {"deliveries": inbox.waiting, "feedback": journal.raised}
    waiting["deployments"] = sum(journal.open.values())
    yield gauge("bridge_queue_depth", "What waits or is under way.", "queue", waiting)
    yield gauge(
        "bridge_queue_lag_seconds",
        "How long the one that has waited longest has done so.",
        "queue",
        {
            "deliveries": 0.0 if inbox.oldest is None else max(0.0, now - inbox.oldest),
            "feedback": 0.0 if journal.overdue is None else max(0.0, now - journal.overdue),
        },
    )
    open_ = {str(state): count for state, count in journal.open.items()}
    yield gauge("bridge_deployments", "Deployments that have not ended.", "state", open_)
    parked = {"feedback": journal.parked}
    yield gauge("bridge_parked", "Given up until something changes.", "queue", parked)


def counter(name: str, what: str, labels: tuple[str, ...], counted: Mapping[Any, int]) -> "Metric":
    """What only grows; Prometheus adds `_total` to its name."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=labels)
    for values, count in counted.items():
        family.add_metric(values, count)
    return family


def gauge(name: str, what: str, label: str, values: Mapping[str, float]) -> "Metric":
    """One figure, by one label."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=[label])
    for value, amount in values.items():
        family.add_metric([value], amount)
    return family


def histogram(
    name: str, what: str, labels: tuple[str, ...], timings: Mapping[Any, Timings]
) -> "Metric":
    """How long things took."""
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, what, labels=labels)
    for values, of in timings.items():
        buckets, total = of.histogram()
        family.add_metric(values, buckets=buckets, sum_value=total)
    return family


class _Once:
    """Families that were put together before, as prometheus_client wants to collect them."""

    def __init__(self, families: "Iterable[Metric]") -> None:
        self._families = families

    def collect(self) -> "Iterable[Metric]":
        return self._families


def written(families: "list[Metric]", sizes: Callable[[], Mapping[str, int]]) -> tuple[bytes, str]:
    """All families and this process' own figures as text, and its content type."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry = CollectorRegistry(auto_describe=False)
    bytes_ = gauge("bridge_store_bytes", "What it takes on disk.", "store", sizes())
    registry.register(_Once([*families, bytes_]))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
