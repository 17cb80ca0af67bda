"""Every example is valid and does what its comments say, as far as that can be told without a cluster."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.pages import REPOSITORY, run_weft

EXAMPLES = REPOSITORY / "examples"
SCENARIOS = EXAMPLES / "scenarios"
FILES = sorted(file.name for file in EXAMPLES.glob("*.yaml"))

EXPECTED: dict[str, tuple[str, dict[str, Any]]] = {
    "hello.yaml": ("Succeeded", {"message": "Hello, world! Goodbye, world."}),
    "retry.yaml": ("Succeeded", {"attempts": "3", "code": 2}),
    "switch-approval.yaml": ("Succeeded", {}),
    "foreach.yaml": ("Succeeded", {"batches": 5, "largest": 1230, "total": 2470}),
    "while.yaml": ("Succeeded", {"value": 6}),
    "finally-compensate.yaml": ("Failed", {}),
    "service.yaml": ("Succeeded", {"answers": ["hello from the service"] * 3}),
    "nodetype.yaml": ("Succeeded", {"short": "e153e1f0af33f12922976c5d0d2ee47b", "digits": [40, 64]}),
    "child-workflow.yaml": (
        "Succeeded",
        {"addresses": ["north.example.com", "south.example.com", "west.example.com"]},
    ),
    "http.yaml": ("Succeeded", {"pages": 12}),
    "notification.yaml": ("Failed", {}),
    "queue.yaml": ("Succeeded", {}),
}


def simulate(name: str, scenario: Path | None = None) -> dict[str, Any]:
    scenario = scenario or SCENARIOS / name
    more = ["--scenario", str(scenario)] if scenario.exists() else []
    result = run_weft("simulate", str(EXAMPLES / name), "--json", *more)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.mark.parametrize("name", FILES)
def test_every_example_is_valid(name: str) -> None:
    result = run_weft("validate", str(EXAMPLES / name))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", FILES)
def test_every_example_brings_a_run_of_its_own_workflow(name: str) -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / name).read_text()))
    workflows = {one["metadata"]["name"] for one in documents if one["kind"] == "Workflow"}
    runs = [one for one in documents if one["kind"] == "WorkflowRun"]
    assert runs
    assert {run["spec"]["workflowRef"]["name"] for run in runs} <= workflows


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_simulated_example_ends_as_it_says(name: str) -> None:
    report = simulate(name)
    assert (report["outcome"], report["outputs"]) == EXPECTED[name]


def test_no_example_is_forgotten() -> None:
    assert set(FILES) == {*EXPECTED, "weather.yaml"}


def test_compensations_run_newest_first_and_the_report_after_them() -> None:
    report = simulate("finally-compensate.yaml")
    undone = [job for job in report["jobs"] if job["role"] == "compensate"]
    assert [job["node"] for job in sorted(undone, key=lambda job: job["start"])] == ["charge", "reserve"]
    assert report["nodes"]["report"]["start"] == max(job["end"] for job in undone)


def test_every_example_but_the_queue_has_a_scenario() -> None:
    assert {file.name for file in SCENARIOS.glob("*.yaml")} == set(FILES) - {"queue.yaml"}


@pytest.mark.parametrize("name", FILES)
def test_who_is_told_to_wait_waits_longer_than_kubectls_half_a_minute(name: str) -> None:
    waits = [line for line in (EXAMPLES / name).read_text().splitlines() if "kubectl wait" in line]
    assert [line for line in waits if "--timeout=" not in line] == []


def test_the_second_approval_counts_after_the_escalation() -> None:
    review = simulate("switch-approval.yaml")["nodes"]["review"]
    assert (review["end"], review["outputs"]["by"]) == (5400, ["ana", "ben"])


def test_never_more_than_two_batches_at_once() -> None:
    jobs = [job for job in simulate("foreach.yaml")["jobs"] if job["node"] == "square"]
    moments = [job["start"] for job in jobs]
    assert max(sum(job["start"] <= at < job["end"] for job in jobs) for at in moments) == 2


# --- the weather: the scripts themselves, over data made up here, against figures computed in another way ---


@pytest.fixture(scope="module")
def weather_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of invented weather, in the columns and the spelling of the real file."""
    lines, day = ["date,precipitation,temp_max,temp_min,wind,weather"], date(2020, 1, 1)
    while day < date(2022, 1, 1):
        n = day.toordinal()
        high, rain = 10 + n * 37 % 251 / 10, n * 53 % 97 / 10
        kind = ("rain", "sun", "fog", "snow", "drizzle")[n * 7 % 11 % 5]
        lines.append(f"{day:%Y/%m/%d},{rain:.1f},{high:.1f},{high - 9:.1f},3.0,{kind}")
        day += timedelta(days=1)
    file = tmp_path_factory.mktemp("weather") / "data.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def weather(weather_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The example's outputs and its printed report: each script run as its Job would, joined by the real engine."""
    folder = tmp_path_factory.mktemp("run")
    workflow = next(yaml.safe_load_all((EXAMPLES / "weather.yaml").read_text()))
    jobs = {node["name"]: node["job"] for node in workflow["spec"]["nodes"] if "job" in node}
    outputs: dict[str, Any] = {}

    def carry_out(node: str, **env: Any) -> str:
        file = folder / node
        given = {name: json.dumps(value) for name, value in env.items()}
        environment = {**os.environ, "DATA": str(weather_file), "WEFT_OUTPUTS": str(file), **given}
        command = [sys.executable, "-c", jobs[node]["script"]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert file.stat().st_size < 4096
        outputs[node] = json.loads(file.read_text())
        return done.stdout

    def simulated() -> dict[str, Any]:
        events = [{"node": node, "outputs": value} for node, value in outputs.items()]
        (folder / "scenario.yaml").write_text(yaml.safe_dump({"events": events}))
        return simulate("weather.yaml", folder / "scenario.yaml")

    assert {job["command"][0] for job in jobs.values()} == {"python3"}
    carry_out("extract")
    carry_out("rain", YEARS=outputs["extract"]["years"])
    carry_out("temperatures")
    carry_out("kinds")
    joined = simulated()["nodes"]["join"]["outputs"]
    printed = carry_out("report", YEARS=joined["years"], FIGURES=joined["figures"])
    report = simulated()
    assert report["outcome"] == "Succeeded"
    return report["outputs"], printed


def test_the_weather_figures_are_right(weather: tuple[dict[str, Any], str], weather_file: Path) -> None:
    found, _ = weather
    rows = [line.split(",") for line in weather_file.read_text().splitlines()[1:]]
    rain: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for day, mm, _, _, _, kind in rows:
        rain[day[:4]][f"{day[:4]}-{day[5:7]}"] += float(mm)
        kinds[day[:4]][kind] += 1

    assert found["days"] == len(rows) == 731
    assert [row["year"] for row in found["years"]] == [2020, 2021]
    for row in found["years"]:
        months = rain[str(row["year"])]
        wettest = sorted(months.items(), key=lambda pair: -pair[1])[0]
        assert row["precipitation"] == pytest.approx(sum(months.values()), abs=0.05)
        assert row["wettestMonth"] == wettest[0]
        assert row["wettestMonthPrecipitation"] == pytest.approx(wettest[1], abs=0.05)
        assert kinds[str(row["year"])][row["mostFrequent"]] == max(kinds[str(row["year"])].values())
    highs = [float(row[2]) for row in rows]
    weeks = [sum(highs[at : at + 7]) / 7 for at in range(len(highs) - 6)]
    best = weeks.index(max(weeks))
    assert found["hottestWeek"]["meanCelsius"] == pytest.approx(weeks[best], abs=0.005)
    assert found["hottestWeek"]["from"] == rows[best][0].replace("/", "-")
    assert found["hottestDay"]["celsius"] == max(highs)
    assert found["coldestDay"]["celsius"] == min(float(row[3]) for row in rows)
    assert found["weather"] == dict(sum(kinds.values(), Counter()))


def test_the_weather_scenario_reports_what_its_nodes_found() -> None:
    report = simulate("weather.yaml")
    joined = report["nodes"]["join"]["outputs"]
    assert report["outputs"] == {"years": joined["years"], **joined["figures"]}


def test_the_weather_report_can_be_read(weather: tuple[dict[str, Any], str]) -> None:
    found, printed = weather
    assert [line.split()[0] for line in printed.splitlines()[1:3]] == ["2020", "2021"]
    assert f"hottest week   {found['hottestWeek']['from']} to {found['hottestWeek']['to']}" in printed
