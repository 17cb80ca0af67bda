"""Reruns of design section 3: what each mode does again, and what it keeps."""

from typing import Any

import pytest
import yaml
from support.engine import Driven, drive, restored
from support.simulation import simulate
from weft.engine import advance, rerun
from weft.engine.observation import Controls

SPEC: dict[str, Any] = {
    "failurePolicy": "Continue",
    "nodes": [
        {"name": "ok", "job": "J"},
        {"name": "bad", "job": "J"},
        {"name": "handler", "dependsOn": ["bad:Done"], "job": "J"},
        {"name": "after", "dependsOn": ["bad"], "job": "J"},
        {"name": "off", "when": "false", "job": "J"},
        {"name": "void", "dependsOn": ["ok:Failed"], "job": "J"},
        {"name": "leaf", "dependsOn": ["ok"], "job": "J"},
    ],
    "finally": [{"name": "report", "job": "J"}],
}

ENDED = {
    "ok": "Succeeded", "bad": "Failed", "handler": "Succeeded", "after": "Skipped(UpstreamFailed)",
    "off": "Skipped(ConditionFalse)", "void": "Skipped(UpstreamSkipped)", "leaf": "Succeeded",
}  # fmt: skip


def phases(run: Driven) -> dict[str, str]:
    nodes = run.state.main.nodes
    return {n.node.name: n.phase + (f"({n.reason})" if n.phase == "Skipped" else "") for n in nodes}


def ended() -> Driven:
    run = drive(SPEC)
    for path, deed in (("ok", run.succeed), ("bad", run.fail), ("handler", run.succeed), ("leaf", run.succeed)):
        deed(path, at=1)
    run.succeed("report", at=2)
    assert phases(run) == ENDED
    assert run.state.outcome == "Failed"
    return run


def again(run: Driven, mode: str, *nodes: str) -> set[str]:
    """Rerun, and give the attempts that start at once."""
    advance.restart(run.state, generation=run.state.generation + 1, mode=mode, nodes=nodes, now=run.now + 10)
    return {id_.path for id_ in run.state.active}


@pytest.mark.parametrize(
    ("mode", "nodes", "started", "kept"),
    [
        ("Failed", (), {"bad"}, {"ok", "handler", "off", "leaf", "void"}),  # void is judged once more, as before
        ("All", (), {"ok", "bad"}, {"off"}),  # off is asked once more, and is off again
        ("Nodes", ("ok",), {"ok"}, {"bad", "handler", "after", "off"}),
        ("Nodes", ("bad",), {"bad"}, {"ok", "off", "void", "leaf"}),
        ("Nodes", ("leaf", "after"), {"leaf"}, {"ok", "bad", "handler", "off", "void", "after"}),
    ],
)
def test_what_is_done_again(mode: str, nodes: tuple[str, ...], started: set[str], kept: set[str]) -> None:
    run = ended()
    before = phases(run)
    assert again(run, mode, *nodes) == started
    now = phases(run)
    assert {name for name in now if now[name] == before[name]} == kept


def test_attempt_numbers_go_on_and_budgets_start_anew() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J", "retry": {"limit": 1, "backoff": {"initialSeconds": 0}}}]})
    for number in (1, 2):
        assert run.attempt("a").attempt == number
        run.fail("a", at=number)
        run.see()
    assert run.state.outcome == "Failed"
    again(run, "Failed")
    for number in (3, 4):
        assert run.attempt("a").attempt == number
        run.fail("a", at=number + 20)
        run.see()
    assert run.state.outcome == "Failed"


def test_finally_is_done_again_and_outcomes_are_new() -> None:
    run = ended()
    again(run, "Failed")
    run.succeed("bad", at=20)
    run.succeed("after", at=21)
    assert run.attempt("report").attempt == 2
    run.succeed("report", at=22)
    assert (run.state.outcome, run.state.failures) == ("Succeeded", [])


def test_of_a_foreach_only_what_failed_is_done_again() -> None:
    run = drive({"nodes": [{"name": "a", "forEach": {"range": 3, "maxFailed": 1}, "job": "J"}]})
    run.succeed("a", 0, outputs={"n": 10})
    run.fail("a", 1)
    run.fail("a", 2)
    assert again(run, "Failed") == {"a"}
    assert sorted(id_.index or 0 for id_ in run.state.active) == [1, 2]
    run.succeed("a", 1, outputs={"n": 11})
    run.succeed("a", 2, outputs={"n": 12})
    assert run.state.main.nodes[0].outputs == {"n": [10, 11, 12]}


def test_inside_a_graph_what_succeeded_is_kept() -> None:
    graphs = [{"name": "g", "nodes": [{"name": "x", "job": "J"}, {"name": "y", "job": "J"}]}]
    run = drive({"nodes": [{"name": "a", "graph": {"name": "g"}}], "graphs": graphs})
    run.succeed("a/x", at=1)
    run.fail("a/y", at=2)
    assert again(run, "Failed") == {"a/y"}


def test_nodes_in_a_graph_are_named_by_path() -> None:
    graphs = [{"name": "g", "nodes": [{"name": "x", "job": "J"}, {"name": "y", "job": "J"}]}]
    run = drive({"nodes": [{"name": "a", "graph": {"name": "g"}}], "graphs": graphs})
    run.succeed("a/x", at=1)
    run.succeed("a/y", at=2)
    assert again(run, "Nodes", "a/x") == {"a/x"}


def test_a_while_begins_anew_when_a_node_in_it_is_named() -> None:
    graphs = [{"name": "g", "nodes": [{"name": "x", "compensate": {"job": "J"}, "job": "J"}]}]
    loop = {"condition": "iteration < 1", "maxIterations": 5}
    run = drive({"nodes": [{"name": "a", "while": loop, "graph": {"name": "g"}}], "graphs": graphs})
    run.succeed("a[0]/x", at=1)
    run.succeed("a[1]/x", at=2)
    assert again(run, "Nodes", "a/x") == {"a[0]/x"}
    assert run.attempt("a[0]/x").attempt == 2
    run.succeed("a[0]/x", at=20)
    assert run.attempt("a[1]/x").attempt == 2  # a number is never used twice
    run.succeed("a[1]/x", at=21)
    assert run.state.outcome == "Succeeded"


@pytest.mark.parametrize("path", ["nope", "ok/inner", "ok/"])
def test_a_node_that_does_not_exist_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="there is no node"):
        rerun.reset(ended().state, generation=1, mode="Nodes", nodes=[path], now=2000)


def test_an_active_run_is_not_rerun() -> None:
    with pytest.raises(ValueError, match="after it has ended"):
        rerun.reset(drive(SPEC).state, generation=1, mode="Failed", nodes=(), now=2000)


def test_a_stopped_run_goes_on() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J"}, {"name": "b", "dependsOn": ["a"], "job": "J"}]})
    run.succeed("a", at=1)
    run.see(Controls(stop="Cancel"))
    run.fail("b", at=2, reason="Stopped")
    assert run.state.outcome == "Cancelled"
    assert again(run, "Failed") == {"b"}
    assert run.state.stop is None


def test_what_was_undone_inside_a_subgraph_that_succeeded_is_done_again() -> None:
    ran = simulate(
        """
        nodes:
        - {name: s, graph: {name: g}}
        - {name: bad, dependsOn: [s], job: J}
        graphs: [{name: g, nodes: [{name: a, job: J, compensate: {job: J}}]}]
        """,
        "{events: [{node: bad, attempt: 1, exitCode: 1}], actions: [{at: 50, rerun: Failed}]}",
    )
    assert ran.outcome.startswith("Succeeded")
    assert ran.nodes["s/a"].startswith("Succeeded")
    assert [job.split()[0] for job in ran.jobs] == ["s/a#1", "bad#1", "~s/a#1", "s/a#2", "bad#2"]


HANDLERS = [
    ("job: J", ["handler#2 11-12"]),
    ("forEach: {range: 2}, job: J", ["handler[0]#2 11-12", "handler[1]#2 11-12"]),
    ("forEach: {range: 2, maxFailed: 1}, job: J", ["handler[0]#2 11-12", "handler[1]#2 11-12"]),
    ("while: {condition: iteration < 1}, job: J", ["handler<0>#2 11-12", "handler<1>#2 12-13"]),
    ("graph: {name: two}", ["handler/x#2 11-12", "handler/y#2 12-13"]),
]


@pytest.mark.parametrize(("body", "again"), HANDLERS)
def test_a_handler_handles_the_next_failure_whole(body: str, again: list[str]) -> None:
    ran = simulate(
        f"""
        nodes:
        - {{name: a, job: J}}
        - {{name: handler, dependsOn: ["a:Failed"], {body}}}
        - {{name: bad, dependsOn: [handler], job: J}}
        graphs: [{{name: two, nodes: [{{name: x, job: J}}, {{name: y, dependsOn: [x], job: J}}]}}]
        """,
        "{events: [{node: a, exitCode: 1}, {node: bad, attempt: 1, exitCode: 1}], actions: [{at: 10, rerun: Failed}]}",
    )
    assert ran.outcome.startswith("Succeeded")
    assert [job for job in ran.jobs if job.startswith("handler") and "#1" not in job] == again


@pytest.mark.parametrize("body", [body for body, _ in HANDLERS])
def test_so_it_does_when_its_graph_is_tried_again(body: str) -> None:
    ran = simulate(
        f"""
        nodes: [{{name: g, graph: {{name: g}}, retry: {{limit: 1, backoff: {{initialSeconds: 5}}}}}}]
        graphs:
        - name: g
          nodes:
          - {{name: a, job: J}}
          - {{name: handler, dependsOn: ["a:Failed"], {body}}}
          - {{name: bad, dependsOn: [handler], job: J}}
        - {{name: two, nodes: [{{name: x, job: J}}, {{name: y, dependsOn: [x], job: J}}]}}
        """,
        "{events: [{node: g/a, exitCode: 1}, {node: g/bad, attempt: 1, exitCode: 1}]}",
    )
    assert ran.outcome.startswith("Succeeded")
    first, then = ([job for job in ran.jobs if "/handler" in job and number in job] for number in ("#1", "#2"))
    assert first
    assert len(then) == len(first)


def test_a_handler_that_was_undone_still_caught_what_it_caught() -> None:
    ran = simulate(
        """
        nodes:
        - {name: a, job: J}
        - {name: handler, dependsOn: ["a:Failed"], job: J, compensate: {job: J}}
        - {name: bad, dependsOn: [handler], job: J}
        finally: [{name: f, expr: {failures: "size(run.failures)"}}]
        """,
        "{events: [{node: a, exitCode: 1}, {node: bad, exitCode: 1}]}",
    )
    assert ran.outputs("f") == {"failures": 1}


SERVED = yaml.safe_load("""
nodes:
- {name: db, service: true, job: J}
- {name: server, service: true, dependsOn: ["db:Ready"], job: J}
- {name: load, dependsOn: ["db:Ready"], job: J}
- {name: check, dependsOn: ["server:Ready", load], job: J}
""")
READY = [{"node": "db", "readySeconds": 1}, {"node": "server", "readySeconds": 1}]
CHECKED_AGAIN = {"db#2 10-13", "server#2 11-13", "check#2 12-13"}


@pytest.mark.parametrize(
    ("rerun", "again"),
    [
        ("Failed", CHECKED_AGAIN),
        ({"from": "Nodes", "nodes": ["check"]}, CHECKED_AGAIN),
        ({"from": "Nodes", "nodes": ["server"]}, CHECKED_AGAIN),
        ({"from": "Nodes", "nodes": ["load"]}, CHECKED_AGAIN | {"load#2 11-12"}),
    ],
)
def test_with_a_node_the_services_that_it_waits_for_run_again_and_end_with_it(rerun: Any, again: set[str]) -> None:
    fails = {"node": "check", "attempt": 1, "exitCode": 1}
    ran = simulate(SERVED, {"events": [*READY, fails], "actions": [{"at": 10, "rerun": rerun}]})
    assert ran.outcome == "Succeeded(Succeeded) 13"
    assert {job for job in ran.jobs if "#2" in job} == again


def test_so_do_those_of_a_graph_that_is_tried_again() -> None:
    graphs = [{"name": "g", **SERVED}]
    retry = {"limit": 1, "backoff": {"initialSeconds": 7, "jitter": 0}}
    fails = {"node": "it/check", "attempt": 1, "exitCode": 1}
    ready = [{**event, "node": f"it/{event['node']}"} for event in READY]
    ran = simulate(
        {"nodes": [{"name": "it", "retry": retry, "graph": {"name": "g"}}], "graphs": graphs},
        {"events": [*ready, fails]},
    )
    assert ran.outcome == "Succeeded(Succeeded) 13"
    assert {job for job in ran.jobs if "#2" in job} == {f"it/{job}" for job in CHECKED_AGAIN}


def test_a_service_that_was_not_wanted_stays_away() -> None:
    ran = simulate(
        """
        nodes:
        - {name: db, service: true, when: run.attempt > 1, job: J}
        - {name: a, job: J}
        - {name: check, dependsOn: [a, "db:Ready"], job: J}
        """,
        "{events: [{node: check, attempt: 1, exitCode: 1}], actions: [{at: 10, rerun: Failed}]}",
    )
    assert {job.partition(" ")[0] for job in ran.jobs} == {"a#1", "check#1", "check#2"}


@pytest.mark.parametrize("undone", [True, False])
def test_a_run_that_failed_stays_failed_whatever_becomes_of_its_compensations(undone: bool) -> None:
    """Of the items of n one has failed, or lost its key; z alone is done again."""
    failing = "" if undone else "{node: n, role: compensate, exitCode: 1},"
    for spec, event in (
        ("forEach: {range: 2}", "{node: n, index: 1, exitCode: 7, durationSeconds: 3}"),
        (
            "forEach: {range: 2, maxParallel: 1}, concurrency: {key: k, policy: CancelRunning}",
            "{node: n, durationSeconds: 2}",
        ),
    ):
        ran = simulate(
            f"""
            failurePolicy: Continue
            nodes:
            - {{name: n, {spec}, job: J, compensate: {{job: J}}}}
            - {{name: w, wait: {{seconds: 3}}}}
            - {{name: z, dependsOn: [w], concurrency: {{key: k, policy: CancelRunning}}, job: J}}
            """,
            f"{{events: [{failing} {event}], actions: [{{at: 100, rerun: {{from: Nodes, nodes: [z]}}}}]}}",
        )
        assert ran.outcome.startswith("Failed(NodeFailed)")
        assert ran.nodes["n"].startswith(("Failed(TooManyFailedItems)", "Cancelled(ConcurrencyCancelled)"))


@pytest.mark.parametrize(
    ("node", "first", "then"),
    [
        ({"while": {"condition": "iteration < 3"}, "job": "J"}, [("a", True), ("a", True), ("a", False)], ["a", "a"]),
        ({"graph": {"name": "g"}}, [("a/b", False), ("a/b", False), ("a/b", False)], ["a/b"]),
    ],
    ids=["while", "graph"],
)
def test_attempts_are_counted_over_reruns(node: dict[str, Any], first: list[tuple[str, bool]], then: list[str]) -> None:
    """Numbers are left out, so that none is used twice; what has been done is counted all the same."""
    retry = {"limit": 2, "backoff": {"initialSeconds": 0}}
    graph = {"name": "g", "nodes": [{"name": "b", "retry": retry, "job": "J"}]}
    run = drive({"nodes": [{"name": "a", **node}], "graphs": [graph]})
    for at, (path, well) in enumerate(first, 1):
        run.succeed(path, at=at) if well else run.fail(path, at=at)
        run.see()
    before = run.state.main.nodes[0].attempts
    again(run, "Failed")
    for at, path in enumerate(then, 20):
        run.succeed(path, at=at)
    assert (before, run.state.main.nodes[0].attempts) == ((3, 6) if "while" in node else (1, 2))
    assert restored(run.state, run.now).main.nodes[0].attempts == run.state.main.nodes[0].attempts
