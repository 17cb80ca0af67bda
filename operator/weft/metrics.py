"""Every metric of the operator, in one place and in a registry of its own.

One `Metrics` is made by the app and handed to whoever counts; nothing is global, so two operators in one test process
do not share numbers. No label carries a run's, a workflow's or a node's name: the number of series stays the same
whether a cluster has ten runs or a million.
"""

from enum import StrEnum
from typing import Protocol
from weakref import WeakSet

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_HOP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WORK_BUCKETS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0)


class NotificationResult(StrEnum):
    """What becomes of a notification, or of one try: the values of the label `result`."""

    Delivered = "Delivered"
    Retried = "Retried"
    Failed = "Failed"
    Dropped = "Dropped"


class Active(Protocol):
    """Has runs in memory."""

    def active(self) -> tuple[int, int]:
        """Give the numbers of runs, and of their nodes that are running or waiting."""
        ...


class Metrics:
    """The operator's counters, gauges and histograms. Attributes are prometheus-client's own types."""

    content_type: str = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        self.runs = Counter("weft_runs_total", "Runs that ended, by outcome", ["outcome"], registry=registry)
        self.run_duration = Histogram(
            "weft_run_duration_seconds",
            "From a run's first start to its end, also of a rerun",
            ["outcome"],
            buckets=_WORK_BUCKETS,
            registry=registry,
        )
        self.nodes = Counter(
            "weft_nodes_total", "Nodes that ended, by phase and reason", ["phase", "reason"], registry=registry
        )
        self.node_duration = Histogram(
            "weft_node_duration_seconds",
            "From a node's start to its end",
            ["phase"],
            buckets=_WORK_BUCKETS,
            registry=registry,
        )
        self.active: WeakSet[Active] = WeakSet()
        """Who is asked for the next two, when they are asked for: everybody who has runs in memory now."""
        self.active_runs = Gauge("weft_active_runs", "Runs that have started and not ended", registry=registry)
        self.active_runs.set_function(lambda: sum(each.active()[0] for each in self.active))
        self.active_nodes = Gauge(
            "weft_active_nodes",
            "Attempts in flight, items each, open approvals, and what waits for a concurrency key or the cache",
            registry=registry,
        )
        self.active_nodes.set_function(lambda: sum(each.active()[1] for each in self.active))
        self.hop = Histogram(
            "weft_hop_seconds",
            "From seeing a Pod's end to sending the next Pod",
            buckets=_HOP_BUCKETS,
            registry=registry,
        )

        self.queue_depth = Gauge("weft_queue_depth", "Keys that wait for a worker", ["queue"], registry=registry)
        self.queue_latency = Histogram(
            "weft_queue_latency_seconds",
            "From adding a key to its start",
            ["queue"],
            buckets=_HOP_BUCKETS,
            registry=registry,
        )
        self.reconcile_duration = Histogram(
            "weft_reconcile_duration_seconds", "One pass over a key", ["queue"], buckets=_HOP_BUCKETS, registry=registry
        )
        self.reconciles = Counter(
            "weft_reconciles_total", "Passes by result: success or error", ["queue", "result"], registry=registry
        )

        self.api_calls = Counter(
            "weft_api_calls_total",
            "Calls to the API server, without watches and kopf's; code is the HTTP status, or the way it failed",
            ["verb", "resource", "code"], registry=registry,
        )  # fmt: skip
        self.api_call_duration = Histogram(
            "weft_api_call_duration_seconds", "One call to the API server", ["verb", "resource"],
            buckets=_HOP_BUCKETS, registry=registry,
        )  # fmt: skip
        self.api_write_limit = Gauge("weft_api_write_limit", "Writes allowed in flight at once now", registry=registry)
        self.api_writes_in_flight = Gauge("weft_api_writes_in_flight", "Writes in flight now", registry=registry)
        self.watch_restarts = Counter(
            "weft_watch_restarts_total",
            "Watches of Jobs and Pods begun again, by reason",
            ["resource", "reason"],
            registry=registry,
        )

        self.status_bytes = Counter("weft_status_written_bytes_total", "Bytes of status written", registry=registry)
        self.events_dropped = Counter(
            "weft_events_dropped_total", "Events not recorded, by reason", ["reason"], registry=registry
        )
        self.notifications = Counter(
            "weft_notifications_total",
            "Notifications, by result: Delivered, Failed (given up), Dropped (one too many of a run); and Retried, of"
            " each try that failed and is made again",
            ["result"],
            registry=registry,
        )
        for result in NotificationResult:  # a series that begins with the first failure shows no increase
            self.notifications.labels(result)
        self.leader = Gauge("weft_leader", "1 while this process holds the lease, or one of a shard", registry=registry)
        self.shards = Gauge("weft_shards", "Shards this process works on; 0 without sharding", registry=registry)

    def run_ended(self, *, outcome: str, seconds: float | None) -> None:
        """Count one ended run and how long it took; None: it never began, and would make the others look fast."""
        self.runs.labels(outcome).inc()
        if seconds is not None:
            self.run_duration.labels(outcome).observe(seconds)

    def node_ended(self, *, phase: str, reason: str, seconds: float) -> None:
        """Count one ended node and how long it took. The reason is one of Weft's own, never free text."""
        self.nodes.labels(phase, reason).inc()
        self.node_duration.labels(phase).observe(seconds)

    def api_call(self, *, verb: str, resource: str, code: str, seconds: float) -> None:
        """Count one call to the API server, each attempt of a retried one by itself."""
        self.api_calls.labels(verb, resource, code).inc()
        self.api_call_duration.labels(verb, resource).observe(seconds)

    def exposition(self) -> bytes:
        """Give all metrics in Prometheus' text format; serve it as `content_type`."""
        return generate_latest(self.registry)
