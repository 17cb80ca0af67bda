"""The timeline is for people: bounded in width, with every node, and what failed in words."""

import pytest
import yaml
from support.simulation import program
from weft.simulate.scenario import parse_scenario
from weft.simulate.timeline import timeline
from weft.simulate.world import World

WORKFLOW = """
    nodes:
    - {name: a, retry: {limit: 1, backoff: {initialSeconds: 2}}, job: J, compensate: {job: J}}
    - {name: ask, dependsOn: [a], approval: {timeoutSeconds: 4}}
    - {name: after, dependsOn: [ask], job: J}
    """


def drawn(workflow: str, scenario: str = "", width: int = 100) -> str:
    loaded = program(workflow)
    world, _ = parse_scenario(yaml.safe_load(scenario))
    assert world is not None
    return timeline(World(loaded.workflows, world).run(loaded.main, {}), width=width)


def test_a_row_per_node_with_bars_in_proportion() -> None:
    text = drawn(WORKFLOW, "{events: [{node: a, attempt: 1, exitCode: 1}], approvals: [{node: ask, at: 7}]}")
    rows = {line.split(" ")[0]: line for line in text.splitlines() if "|" in line}
    assert text.startswith("test: Succeeded after 8 s\n")
    assert list(rows) == ["a", "ask", "after"]
    bars = {name: row.split("|")[1] for name, row in rows.items()}
    second = len(bars["a"]) / 8
    assert bars["a"].index("x") == round(second) - 1
    assert bars["a"].index(".") == round(second)
    assert bars["a"].rindex("#") == round(4 * second) - 1
    assert bars["ask"].strip() == "." * bars["ask"].count(".")
    assert bars["after"].endswith("#" * int(second))
    assert "2 attempts" in rows["a"]


def test_what_failed_is_said_in_words_and_what_was_undone_is_shown() -> None:
    text = drawn(WORKFLOW)
    assert "Failed (NodeFailed) after 6 s" in text
    assert "ask: ApprovalTimeout:" in text
    assert "undo a" in text


def test_a_run_that_is_stuck_says_so() -> None:
    assert "Failed (Stuck) after 0 s: nothing more can happen: a waits for approval" in drawn(
        "nodes: [{name: a, approval: {}}]", width=200
    )


def test_long_times_stay_readable() -> None:
    text = drawn("nodes: [{name: a, wait: {seconds: 1234567}}, {name: b, dependsOn: [a], job: J}]",
                 "{default: {durationSeconds: 0.25}}")  # fmt: skip
    assert text.startswith("test: Succeeded after 1234567.25 s\n")
    assert " 1234567.25 s\n" in text.splitlines(keepends=True)[2]
    assert "Succeeded  1234567 - 1234567.25 s" in text
    assert "e+" not in text


def test_what_has_no_end_says_only_since_when() -> None:
    text = drawn("nodes: [{name: b, job: J}, {name: a, dependsOn: [b], approval: {}}]")
    assert "  from 1 s" in next(line for line in text.splitlines() if line.startswith("a "))
    assert "-  s" not in text


@pytest.mark.parametrize("width", [1, 60, 80, 200])
def test_no_row_is_wider_than_asked_for(width: int) -> None:
    long = "n" * 60
    text = drawn(
        f"nodes: [{{name: {long}, forEach: {{range: 3}}, job: J}}, {{name: b, dependsOn: [{long}], job: J}}]", "", width
    )
    rows = [line for line in text.splitlines() if "|" in line]
    assert len(rows) == 2
    assert all(len(row) <= max(width, 60) for row in rows)


def test_thousands_of_nodes_are_cut_short() -> None:
    nodes = ", ".join(f"{{name: n{number}, job: J}}" for number in range(500))
    text = drawn(f"nodes: [{nodes}]")
    assert len(text.splitlines()) < 420
    assert "and 100 more nodes" in text


def test_why_a_compensation_failed_is_told() -> None:
    text = drawn(
        """
        nodes:
        - {name: a, job: J, compensate: {expr: {x: nodes.a.outputs.id}}}
        - {name: bad, dependsOn: [a], job: J}
        """,
        "events: [{node: bad, exitCode: 1}]",
    )
    assert "a: CompensationFailed: compensation failed with ExpressionError: no such key: id at column" in text
