"""The examples, applied as their first lines say, end as they say."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.harness.operator import Operator
from e2e.harness.place import Cluster, Place, Run

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDINGS = {"finally-compensate": "Failed", "notification": "Failed"}
NOT_BY_THEMSELVES = {"http", "switch-approval"}
"""Examples that wait for a server or for people; the scenarios `http` and `approval` do the same with both there."""


@pytest.fixture(scope="module")
def gallery(make_place: Callable[[str], Place], operator: Operator) -> Place:
    """A namespace in which every example has been applied."""
    place = make_place("examples")
    for file in sorted(EXAMPLES.glob("*.yaml")):
        place.kubectl("apply", "-f", str(file))
    return place


def _runs(file: Path) -> list[str]:
    documents = yaml.safe_load_all(file.read_text())
    return [each["metadata"]["name"] for each in documents if each["kind"] == "WorkflowRun"]


@pytest.mark.parametrize(
    "name", [file.stem for file in sorted(EXAMPLES.glob("*.yaml")) if file.stem not in NOT_BY_THEMSELVES]
)
def test_example(name: str, gallery: Place) -> None:
    names = _runs(EXAMPLES / f"{name}.yaml")
    assert names
    for run in names:
        gallery.find_run(run).finish(ENDINGS.get(name, "Succeeded"))


def test_every_workflow_is_ready(gallery: Place) -> None:
    workflows = yaml.safe_load(gallery.kubectl("get", "workflows", "-o", "yaml"))["items"]
    assert len(workflows) >= len(list(EXAMPLES.glob("*.yaml")))
    for workflow in workflows:
        assert gallery.ready(workflow["metadata"]["name"])["status"] == "True"


def test_the_weather_report_is_right(cluster: Cluster, gallery: Place) -> None:
    """Every figure, against a computation of our own, from the same file read out of the image."""
    run = gallery.find_run("weather-1").finish()
    facts = _weather(_file(gallery))
    for year, (rain, month, of_month, kind) in facts["years"].items():
        found = next(each for each in run.outputs["years"] if each["year"] == year)
        assert Decimal(str(found["precipitation"])) == rain
        assert (found["wettestMonth"], Decimal(str(found["wettestMonthPrecipitation"]))) == (month, of_month)
        assert found["mostFrequent"] == kind
    assert len(run.outputs["years"]) == len(facts["years"])
    for name in ("days", "weather", "hottestDay", "coldestDay", "hottestWeek"):
        assert run.outputs[name] == facts[name], name
    assert "hottest week" in run.log("report")
    _in_parallel(run)


def _in_parallel(run: Run) -> None:
    nodes = [run.node(name) for name in ("rain", "temperatures", "kinds")]
    assert max(node["startTime"] for node in nodes) <= min(node["completionTime"] for node in nodes)


def _file(place: Place) -> list[dict[str, str]]:
    image = f"--image={os.environ['WEFT_EXAMPLES_IMAGE']}"
    place.kubectl("run", "data", image, "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "cat",
                  "/data/seattle-weather.csv")  # fmt: skip
    place.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/data", "--timeout=60s")
    return list(csv.DictReader(io.StringIO(place.kubectl("logs", "data"))))


def _weather(rows: list[dict[str, str]]) -> dict[str, Any]:
    """The report's figures, day by day and exactly, in another way than the example computes them."""
    days = {date(*map(int, row["date"].split("/"))): row for row in rows}
    rain: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
    kinds: dict[int, Counter[str]] = defaultdict(Counter)
    for day, row in days.items():
        rain[day.year, day.month] += Decimal(row["precipitation"])
        kinds[day.year][row["weather"]] += 1
    years = {}
    for year in kinds:
        months = {month: amount for (of, month), amount in rain.items() if of == year}
        wettest = max(months, key=lambda month: (months[month], -month))
        most = sorted(kinds[year].items(), key=lambda pair: (-pair[1], pair[0]))[0][0]
        years[year] = (sum(months.values()), f"{year}-{wettest:02}", months[wettest], most)
    hottest = max(sorted(days), key=lambda day: Decimal(days[day]["temp_max"]))
    coldest = min(sorted(days), key=lambda day: Decimal(days[day]["temp_min"]))
    weeks = {first: [first + timedelta(n) for n in range(7)] for first in days if first + timedelta(6) in days}
    means = {first: sum(Decimal(days[day]["temp_max"]) for day in week) / 7 for first, week in weeks.items()}
    first = max(sorted(means), key=lambda day: round(means[day], 2))
    return {
        "years": years,
        "days": len(rows),
        "weather": dict(Counter(row["weather"] for row in rows)),
        "hottestDay": {"date": str(hottest), "celsius": float(days[hottest]["temp_max"])},
        "coldestDay": {"date": str(coldest), "celsius": float(days[coldest]["temp_min"])},
        "hottestWeek": {
            "from": str(first), "to": str(first + timedelta(6)), "meanCelsius": float(round(means[first], 2)),
        },
    }  # fmt: skip
