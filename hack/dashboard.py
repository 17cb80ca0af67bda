"""The Grafana dashboard, charts/weft/files/dashboard.json: what runs, how fast, what the API server says, how Weft is.

A panel is a title, a unit and its queries; where it stands follows from its row. tests/unit/docs/test_monitoring.py
holds every query to the metrics and labels that there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FILE = "charts/weft/files/dashboard.json"
WIDTH, HEIGHT = 24, 8
"""Of a row, in Grafana's own columns, and of a panel in its lines."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One diagram: its title, Grafana's name for the unit, and its queries: PromQL, and what a line is called.

    `says` is for what its title leaves open.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    says: str = ""


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def _quantile(share: float, metric: str, *by: str) -> str:
    name, brace, labels = metric.partition("{")
    return f"histogram_quantile({share}, {_rate(f'{name}_bucket{brace}{labels}', ', '.join(('le', *by)))})"


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    return tuple((_quantile(share, metric), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99))


_OURS = "sum by (pod) (weft_leader)"
"""Whose processes are Weft's: everybody has metrics of that name."""
_UNDONE = 'weft_nodes_total{phase=~"Failed|Cancelled"}'

ROWS: dict[str, tuple[Panel, ...]] = {
    "Runs": (
        Panel(
            "Active", "short", (("sum(weft_active_runs)", "runs"), ("sum(weft_active_nodes)", "nodes")),
            "Nodes are attempts in flight, items each, open approvals, and what waits for a concurrency key or the"
            " cache; not waits and back-offs.",
        ),
        Panel("Runs that ended", "cpm", ((f"60 * {_rate('weft_runs_total', 'outcome')}", "{{outcome}}"),)),
        Panel(
            "How long a run takes", "s", _quantiles("weft_run_duration_seconds"),
            "From its first start to its end, also of a rerun.",
        ),
        Panel("Nodes that ended", "cpm", ((f"60 * {_rate('weft_nodes_total', 'phase')}", "{{phase}}"),)),
        Panel(
            "Nodes that did not succeed", "cpm",
            ((f"60 * {_rate(_UNDONE, 'reason')}", "{{reason}}"),),
        ),
        Panel(
            "How long a node takes", "s", _quantiles('weft_node_duration_seconds{phase!="Skipped"}'),
            "From its start to its end; without those that were skipped.",
        ),
    ),
    "Speed": (
        Panel("From a Pod's end to the next Pod", "s", _quantiles("weft_hop_seconds")),
        Panel(
            "Wait for a worker, p99", "s", ((_quantile(0.99, "weft_queue_latency_seconds", "queue"), "{{queue}}"),)
        ),
        Panel("Keys that wait", "short", (("sum by (queue) (weft_queue_depth)", "{{queue}}"),)),
        Panel(
            "One pass, p99", "s", ((_quantile(0.99, "weft_reconcile_duration_seconds", "queue"), "{{queue}}"),)
        ),
        Panel("Passes", "ops", ((_rate("weft_reconciles_total", "queue, result"), "{{queue}} {{result}}"),)),
        Panel("Status written", "Bps", (("sum(rate(weft_status_written_bytes_total[$__rate_interval]))", "bytes"),)),
    ),
    "API server": (
        Panel("Calls", "reqps", ((_rate("weft_api_calls_total", "verb, resource"), "{{verb}} {{resource}}"),)),
        Panel(
            "Calls that failed", "reqps",
            ((_rate('weft_api_calls_total{code!~"2.."}', "code"), "{{code}}"),),
        ),
        Panel(
            "Answer, p99", "s",
            ((_quantile(0.99, "weft_api_call_duration_seconds", "verb", "resource"), "{{verb}} {{resource}}"),),
        ),
        Panel(
            "Writes at once", "short",
            (("sum(weft_api_writes_in_flight)", "in flight"), ("sum(weft_api_write_limit * weft_leader)", "allowed")),
        ),
        Panel(
            "Watches begun again", "cpm",
            ((f"60 * {_rate('weft_watch_restarts_total', 'resource, reason')}", "{{resource}} {{reason}}"),),
        ),
    ),
    "Operator": (
        Panel(
            "Who leads", "short",
            (("sum(weft_leader) by (pod)", "{{pod}}"), ("sum(weft_shards) by (pod)", "{{pod}} shards")),
        ),
        Panel("CPU", "percentunit", ((f"{_rate('process_cpu_seconds_total', 'pod')} and {_OURS}", "{{pod}}"),)),
        Panel("Memory", "bytes", ((f"sum by (pod) (process_resident_memory_bytes) and {_OURS}", "{{pod}}"),)),
        Panel("Notifications", "cpm", ((f"60 * {_rate('weft_notifications_total', 'result')}", "{{result}}"),)),
        Panel("Events not recorded", "cpm", ((f"60 * {_rate('weft_events_dropped_total', 'reason')}", "{{reason}}"),)),
    ),
}  # fmt: skip


def dashboard() -> str:
    """Give the dashboard as Grafana imports it, the same text every time."""
    whole = {
        "uid": "weft", "title": "Weft", "tags": ["weft", "kubernetes"], "schemaVersion": 39, "editable": True,
        "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser",
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": _panels(),
    }  # fmt: skip
    return json.dumps(whole, indent=1) + "\n"


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for title, panels in ROWS.items():
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        made.append({"id": len(made) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        for line in (panels[at : at + 3] for at in range(0, len(panels), 3)):
            for column, panel in enumerate(line):
                width = WIDTH // len(line)
                place = {"x": column * width, "y": top, "w": width, "h": HEIGHT}
                made.append(_diagram(len(made) + 1, panel, place))
            top += HEIGHT
    return made


def _diagram(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number, "type": "timeseries", "title": panel.title, **({"description": panel.says} if panel.says else {}),
        "gridPos": place, "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": _targets(panel.queries),
    }  # fmt: skip


def _targets(queries: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
        for number, (expression, legend) in enumerate(queries)
    ]
