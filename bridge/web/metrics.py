"""`GET /metrics`: this process's counts, and figures from the stores, for Prometheus.

The hot path only updates a dict; prometheus_client is imported and the stores are read on request.
Labels are few and bounded: never a commit, never a person, and an event's name, which a stranger
may choose, only if it is known.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bridge import __version__
from bridge.core.errors import Unreachable
from bridge.ports.clock import Clock
from bridge.ports.figures import Ended, InboxFigures, InboxMeter, JournalFigures, JournalMeter
from bridge.web.answers import Insiders, refusal

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Timings:
    """Counts of observations by bucket."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def histogram(self) -> tuple[list[tuple[str, float]], float]:
        """Return Prometheus's cumulative buckets, and the sum."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else str(bound), float(total)))
        return buckets, self._sum


def of_stores(inbox: InboxFigures, journal: JournalFigures, now: float) -> "Iterator[Metric]":
    """Yield the figures from the stores."""
    waiting = {"deliveries": inbox.waiting, "feedback": journal.pending}
    waiting["deployments"] = sum(journal.open.values())
    yield gauge("bridge_queue_depth", "Waiting and open items.", "queue", waiting)
    yield gauge(
        "bridge_queue_lag_seconds",
        "How long the oldest item has waited, in seconds.",
        "queue",
        {
            "deliveries": 0.0 if inbox.oldest is None else max(0.0, now - inbox.oldest),
            "feedback": 0.0 if journal.overdue is None else max(0.0, now - journal.overdue),
        },
    )
    open_ = {str(state): count for state, count in journal.open.items()}
    yield gauge("bridge_deployments", "Open deployments.", "state", open_)
    held = {str(gate): count for gate, count in journal.held.items()}
    yield gauge("bridge_held", "Deployments that a gate holds.", "reason", held)
    previews = {str(state): count for state, count in journal.previews.items()}
    yield gauge("bridge_previews", "Previews of pull requests.", "state", previews)
    parked = {"feedback": journal.parked}
    yield gauge("bridge_parked", "Items parked until something changes.", "queue", parked)


def counter(name: str, what: str, labels: tuple[str, ...], counted: Mapping[Any, int]) -> "Metric":
    """Return a counter; Prometheus adds `_total` to its name."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=labels)
    for values, count in counted.items():
        family.add_metric(values, count)
    return family


def gauge(name: str, what: str, label: str, values: Mapping[str, float]) -> "Metric":
    """Return a gauge with one label."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=[label])
    for value, amount in values.items():
        family.add_metric([value], amount)
    return family


def histogram(
    name: str, what: str, labels: tuple[str, ...], timings: Mapping[Any, Timings]
) -> "Metric":
    """Return a histogram of durations."""
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, what, labels=labels)
    for values, of in timings.items():
        buckets, total = of.histogram()
        family.add_metric(values, buckets=buckets, sum_value=total)
    return family


class _Once:
    """Prepared metric families, as prometheus_client collects them."""

    def __init__(self, families: "Iterable[Metric]") -> None:
        self._families = families

    def collect(self) -> "Iterable[Metric]":
        return self._families


def written(families: "list[Metric]", sizes: Callable[[], Mapping[str, int]]) -> tuple[bytes, str]:
    """Return all families and this process's own figures as text, and its content type."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry = CollectorRegistry(auto_describe=False)
    bytes_ = gauge("bridge_store_bytes", "Disk space in bytes.", "store", sizes())
    registry.register(_Once([*families, bytes_]))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


# ── collecting ───────────────────────────────────────────────────────────────────────────────────

MOST_APPS = 2000
"""Apps that are counted by name; further ones are "other"."""

OVERLAP = 1000
"""Changes to read again: on Postgres, a smaller number may be committed later."""

REQUEST_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DEPLOY_BOUNDS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LAG_EVERY = 0.25
"""Seconds between two measurements of the event loop's lag."""


class Metrics:
    """Counts what happens in this process, and reads the rest from the stores on request."""

    def __init__(
        self,
        inbox: InboxMeter,
        journal: JournalMeter,
        sizes: Callable[[], Mapping[str, int]],
        clock: Clock,
        events: Container[str] = (),
    ) -> None:
        """Take the stores.

        Args:
            sizes: returns the disk space of each in bytes.
            events: events that are counted by name; any other is "other".
        """
        self._events = events
        self._inbox = inbox
        self._journal = journal
        self._sizes = sizes
        self._clock = clock
        self._webhooks: Counter[tuple[str, str, str]] = Counter()
        self._requests: dict[tuple[str, str], Timings] = {}
        self._deploys: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, Timings] = {}
        self._closed = 0
        self._lag = Timings(LAG_BOUNDS)
        self._after = 0
        self._counted: set[int] = set()
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Count the deployments that end from here on."""
        self._after = await self._journal.newest_change()
        self._counted = {one.number for one in await self._journal.ended(self._after - OVERLAP)}

    def webhook(self, host: str, event: str, outcome: str) -> None:
        self._webhooks[host, event if event in self._events else "other", outcome] += 1

    def connection_closed(self) -> None:
        self._closed += 1

    def backend_request(self, backend: str, asked: str, seconds: float) -> None:
        """Count a request to a backend; fits `ports.Observe`."""
        of = self._requests.get((backend, asked))
        if of is None:
            of = self._requests[backend, asked] = Timings(REQUEST_BOUNDS)
        of.add(seconds)

    async def watch_lag(self) -> None:
        """Measure the event loop's lag, as long as the process lives."""
        while True:
            due = time.monotonic() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._lag.add(max(0.0, time.monotonic() - due))

    async def text(self, troubled: Collection[str] = ()) -> tuple[bytes, str]:
        """Return everything in Prometheus' text format, and its content type.

        Args:
            troubled: what is in trouble though the bridge is ready, such as a backend.

        Raises:
            Unreachable: a store can't be read.
        """
        async with self._reading:
            inbox, journal = await self._inbox.figures(), await self._journal.figures()
            ended = await self._journal.ended(self._after - OVERLAP)
            self._count(ended)
            # Collected here, in the loop, where the counts change; only formatted in a thread.
            families = [*self._of_process(), *of_stores(inbox, journal, self._clock())]
            trouble = dict.fromkeys(troubled, 1)
            families.append(gauge("bridge_trouble", "What /readyz reports.", "part", trouble))
        return await asyncio.to_thread(written, families, self._sizes)

    def _count(self, ended: Iterable[Ended]) -> None:
        for one in ended:
            if one.number in self._counted:
                continue
            self._counted.add(one.number)
            self._after = max(self._after, one.number)
            known = {name for name, _ in self._deploys}
            app = one.app if one.app in known or len(known) < MOST_APPS else "other"
            self._deploys[app, str(one.result)] += 1
            if one.seconds is not None:
                of = self._durations.setdefault(str(one.result), Timings(DEPLOY_BOUNDS))
                of.add(one.seconds)
        self._counted = {number for number in self._counted if number > self._after - OVERLAP}

    def _of_process(self) -> "Iterator[Metric]":
        yield gauge("bridge_info", "The running release.", "version", {__version__: 1})
        yield counter(
            "bridge_webhooks_received",
            "Answered webhooks.",
            ("provider", "event", "outcome"),
            self._webhooks,
        )
        yield counter(
            "bridge_connections_closed",
            "Connections closed to make room for new ones.",
            (),
            {(): self._closed},
        )
        yield counter(
            "bridge_deploys", "Deployments that have ended.", ("app", "result"), self._deploys
        )
        yield histogram(
            "bridge_deploy_duration_seconds",
            "Duration of builds in seconds.",
            ("result",),
            {(result,): of for result, of in self._durations.items()},
        )
        yield histogram(
            "bridge_backend_request_duration_seconds",
            "Duration of requests to the backend in seconds.",
            ("backend", "request"),
            self._requests,
        )
        yield histogram(
            "bridge_loop_lag_seconds", "Event loop lag in seconds.", (), {(): self._lag}
        )


def metrics_route(
    metrics: Metrics, insiders: Insiders, beside: Callable[[], Awaitable[Collection[str]]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of `/metrics`; strangers get 403."""

    async def handle(request: web.Request) -> web.Response:
        if not insiders(request):
            return refusal(
                403,
                "metrics are for this machine, or with the token of BRIDGE_WEB_METRICS_TOKEN"
                " (Authorization: Bearer …)",
            )
        try:
            body, content_type = await metrics.text(await beside())
        except Unreachable as error:
            return refusal(503, str(error))
        return web.Response(body=body, headers={"Content-Type": content_type})

    return handle
