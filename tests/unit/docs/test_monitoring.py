"""What the dashboard and the alerts ask Prometheus for: metrics that there are, by labels and values that they have."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml
from support.rig import Rig
from weft.api.conditions import NodePhase
from weft.kube.errors import OutcomeUnknown, TimedOut, Unreachable
from weft.metrics import Metrics

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = REPOSITORY / "charts" / "weft" / "files"
TARGET = frozenset({"pod"})
"""Labels that Prometheus adds, of where it has read the metric."""
OF_THE_PROCESS = {"process_cpu_seconds_total": frozenset[str](), "process_resident_memory_bytes": frozenset[str]()}

_METRIC = re.compile(r"\b((?:weft|process)_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")
_LABEL = re.compile(r"(\w+)\s*[=!]~?")
_VALUES = re.compile(r'(\w+)\s*([=!]~?)\s*"([^"]*)"')

Values = dict[tuple[str, str], set[str]]
"""The values of a metric's label."""
LATER: Values = {
    ("weft_nodes_total", "phase"): set(NodePhase),
    ("weft_api_calls_total", "code"): {
        *(str(status.value) for status in HTTPStatus),
        *(error.__name__ for error in (TimedOut, Unreachable, OutcomeUnknown)),
    },
}
"""Of labels whose values come with what happens; all others are there from the operator's start."""


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


@pytest.fixture(name="values")
async def what_an_operator_begins_with() -> AsyncIterator[Values]:
    rig = Rig()
    await rig.up()
    found: Values = {}
    for sample in (sample for family in rig.metrics.registry.collect() for sample in family.samples):
        for label, value in sample.labels.items():
            found.setdefault((sample.name, label), set()).add(value)
    yield found | LATER
    await rig.close()


async def test_every_value_that_is_asked_for_can_be_there(values: Values) -> None:
    asked = [
        (name, label, value)
        for query in queries()
        for name, matchers in _METRIC.findall(query)
        for label, how, text in _VALUES.findall(matchers)
        for value in (text.split("|") if how.endswith("~") else [re.escape(text)])
    ]
    assert ("weft_notifications_total", "result", "Failed") in asked
    for name, label, value in asked:
        assert any(re.fullmatch(value, known) for known in values[name, label]), (name, label, value)


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
