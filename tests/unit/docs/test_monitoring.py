"""What the dashboard and the alerts ask Prometheus for: metrics that there are, by labels that they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from weft.metrics import Metrics

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = REPOSITORY / "charts" / "weft" / "files"
TARGET = frozenset({"pod"})
"""Labels that Prometheus adds, of where it has read the metric."""
OF_THE_PROCESS = {"process_cpu_seconds_total": frozenset[str](), "process_resident_memory_bytes": frozenset[str]()}

_METRIC = re.compile(r"\b((?:weft|process)_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")
_LABEL = re.compile(r"(\w+)\s*[=!]~?")


def labels() -> dict[str, frozenset[str]]:
    """Every name that can be asked for, with its labels, as the operator's own page has them."""
    found = dict(OF_THE_PROCESS)
    page = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text()
    for name, kind, names, _ in re.findall(r"\| `(\w+)` \| (\w+) \| ([^|]*)\| ([^|]*)\|", page):
        its = frozenset(re.findall(r"\w+", names))
        found[name] = its
        if kind == "histogram":
            found |= {f"{name}_bucket": its | {"le"}, f"{name}_sum": its, f"{name}_count": its}
    return found


def queries() -> Iterator[str]:
    whole = json.loads((FILES / "dashboard.json").read_text())
    yield from (target["expr"] for panel in whole["panels"] for target in panel.get("targets", ()))
    for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.parametrize("query", list(queries()))
def test_it_asks_for_what_there_is(query: str) -> None:
    known = labels()
    asked = _METRIC.findall(query)
    assert asked
    have = TARGET.union(*(known[name] for name, _ in asked))
    for name, matchers in asked:
        assert set(_LABEL.findall(matchers)) <= known[name], name
    for names in _BY.findall(query):
        assert {name.strip() for name in names.split(",")} <= have


def test_every_metric_has_a_place_on_the_dashboard() -> None:
    text = (FILES / "dashboard.json").read_text()
    assert not [
        family.name for family in Metrics().registry.collect() if family.name not in text and "weft" in family.name
    ]


def test_panels_do_not_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in json.loads((FILES / "dashboard.json").read_text())["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
