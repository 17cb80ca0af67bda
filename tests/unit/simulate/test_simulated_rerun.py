"""Reruns as a user sees them: what is done again of loops, graphs and what was undone, and what is not."""

import pytest
from support.simulation import simulate


def test_a_list_that_got_shorter_has_the_outputs_of_what_is_in_it() -> None:
    ran = simulate(
        """
        nodes:
        - {name: src, job: J, compensate: {job: J}}
        - {name: loop, dependsOn: [src], forEach: {items: nodes.src.outputs.l, maxParallel: 1}, job: J}
        """,
        """
        events:
        - {node: src, attempt: 1, outputs: {l: [1, 2, 3]}}
        - {node: src, outputs: {l: [1]}}
        - {node: loop, index: 2, attempt: 1, exitCode: 1}
        - {node: loop, outputs: {x: 1}}
        actions: [{at: 50, rerun: Failed}]
        """,
    )
    assert ran.nodes["loop"].startswith("Succeeded")
    assert ran.outputs("loop") == {"x": [1]}
    assert ran.items("loop") == ["Succeeded 1-2"]


def test_a_list_that_got_longer_again_goes_on_with_the_numbers_of_its_items() -> None:
    ran = simulate(
        """
        nodes:
        - {name: src, job: J}
        - {name: loop, dependsOn: [src], forEach: {items: nodes.src.outputs.l}, job: J}
        """,
        """
        events:
        - {node: src, attempt: 2, outputs: {l: [1]}}
        - {node: src, outputs: {l: [1, 2]}}
        - {node: loop, index: 0, attempt: 3}
        - {node: loop, exitCode: 1}
        actions: [{at: 10, rerun: All}, {at: 20, rerun: All}]
        """,
    )
    assert [job for job in ran.jobs if job.startswith("loop[1]")] == ["loop[1]#1 1-2", "loop[1]#2 21-22"]


def test_a_graph_that_was_undone_as_a_whole_is_done_again_as_a_whole() -> None:
    ran = simulate(
        """
        nodes:
        - {name: g, graph: {name: gg}, compensate: {job: J}}
        - {name: bad, dependsOn: [g], job: J}
        graphs: [{name: gg, nodes: [{name: a, job: J}, {name: b, dependsOn: [a], job: J}]}]
        """,
        "{events: [{node: bad, attempt: 1, exitCode: 1}], actions: [{at: 50, rerun: Failed}]}",
    )
    assert ran.jobs[-3:] == ["g/a#2 50-51", "g/b#2 51-52", "bad#2 52-53"]


def test_so_are_the_items_of_a_foreach_over_a_graph() -> None:
    ran = simulate(
        """
        nodes:
        - {name: g, forEach: {range: 2}, graph: {name: gg}, compensate: {job: J}}
        - {name: bad, dependsOn: [g], job: J}
        graphs: [{name: gg, nodes: [{name: a, job: J}]}]
        """,
        "{events: [{node: bad, attempt: 1, exitCode: 1}], actions: [{at: 50, rerun: Failed}]}",
    )
    assert ran.jobs[-3:] == ["g/a[0]#2 50-51", "g/a[1]#2 50-51", "bad#2 51-52"]


def test_a_compensation_that_failed_is_tried_again() -> None:
    nodes = """
        nodes:
        - {name: a, job: J, compensate: {job: J}}
        - {name: bad, dependsOn: [a], job: J}
        """
    failing = "{node: a, role: compensate, attempt: 1, exitCode: 1}"
    badly = f"{{events: [{{node: bad, exitCode: 1}}, {failing}], actions: [{{at: 20, rerun: Failed}}]}}"
    again = simulate(nodes, badly)
    assert again.nodes["a"] == "Compensated(Compensated) 0-1"
    assert again.jobs[-2:] == ["bad#2 20-21", "~a#2 21-22"]
    well = f"{{events: [{{node: bad, attempt: 1, exitCode: 1}}, {failing}], actions: [{{at: 20, rerun: Failed}}]}}"
    assert simulate(nodes, well).nodes["a"] == "Succeeded 0-1"


def test_items_that_were_undone_are_done_again_although_another_could_not_be() -> None:
    ran = simulate(
        """
        nodes:
        - {name: e, forEach: {range: 2, maxParallel: 1}, job: J, compensate: {job: J}}
        - {name: bad, dependsOn: [e], job: J}
        """,
        """
        events:
        - {node: bad, attempt: 1, exitCode: 1}
        - {node: e, role: compensate, index: 1, exitCode: 1}
        actions: [{at: 20, rerun: Failed}]
        """,
    )
    assert ran.jobs[-2:] == ["e[0]#2 20-21", "bad#2 21-22"]


def test_rounds_of_which_one_could_not_be_undone_are_done_again() -> None:
    ran = simulate(
        """
        nodes:
        - {name: l, while: {condition: "iteration < 1", maxIterations: 5}, job: J, compensate: {job: J}}
        - {name: bad, dependsOn: [l], job: J}
        """,
        """
        events:
        - {node: bad, attempt: 1, exitCode: 1}
        - {node: l, role: compensate, iteration: 1, exitCode: 1}
        actions: [{at: 20, rerun: Failed}]
        """,
    )
    assert ran.jobs[-3:] == ["l<0>#2 20-21", "l<1>#2 21-22", "bad#2 22-23"]


def test_a_round_that_could_not_be_undone_is_tried_again() -> None:
    ran = simulate(
        """
        nodes:
        - {name: l, while: {condition: "iteration < 1", maxIterations: 5}, job: J, compensate: {job: J}}
        - {name: bad, dependsOn: [l], job: J}
        """,
        """
        events:
        - {node: bad, exitCode: 1}
        - {node: l, role: compensate, attempt: 1, exitCode: 1}
        actions: [{at: 20, rerun: Failed}]
        """,
    )
    assert ran.jobs[-3:] == ["bad#2 20-21", "~l<1>#2 21-22", "~l<0>#2 22-23"]
    assert ran.nodes["l"].startswith("Compensated")


def test_drain_holds_back_the_items_that_are_left_too() -> None:
    ran = simulate(
        """
        parallelism: 1
        nodes:
        - {name: w, wait: {seconds: 10}}
        - {name: p, job: J}
        - {name: b, dependsOn: [w], job: J}
        - {name: loop, dependsOn: [p], forEach: {range: 2}, job: J}
        """,
        """
        events: [{node: b, exitCode: 1}, {node: loop, index: 1, attempt: 1, exitCode: 1}]
        actions: [{at: 50, rerun: Failed}, {at: 100, rerun: Nodes, nodes: [b]}]
        """,
    )
    assert ran.nodes["loop"].startswith("Skipped(RunFailed)")
    assert not [job for job in ran.jobs if job.startswith("loop[1]#2")]
    assert not [job for job in ran.jobs if job.startswith("loop[0]#2")]


def test_nodes_of_finally_may_be_named_and_are_done_again_as_ever() -> None:
    ran = simulate(
        "{nodes: [{name: a, job: J}], finally: [{name: report, job: J}]}",
        "{actions: [{at: 20, rerun: Nodes, nodes: [report]}]}",
    )
    assert ran.jobs == ["a#1 0-1", "report#1 1-2", "report#2 20-21"]


@pytest.mark.parametrize(
    ("stop", "last", "items"),
    [
        ("Cancel", "e[0]#2 20-22", ["Cancelled 20-22 x2", "Cancelled", "Cancelled"]),
        ("Drain", "e[0]#2 20-25", ["Succeeded 20-25 x2", "Cancelled", "Cancelled"]),
    ],
)
def test_a_rerun_can_be_stopped_before_all_items_have_come_to_their_turn(
    stop: str, last: str, items: list[str]
) -> None:
    ran = simulate(
        "nodes: [{name: e, forEach: {range: 3, maxParallel: 1, maxFailed: 3}, job: J}]",
        f"""
        events: [{{node: e, attempt: 1, exitCode: 1}}, {{node: e, durationSeconds: 5}}]
        actions: [{{at: 20, rerun: All}}, {{at: 22, stop: {stop}}}]
        """,
    )
    assert ran.jobs[-1] == last
    assert ran.items("e") == items
    assert ran.outcome == f"Cancelled(Stopped) {last.rpartition('-')[2]}"


def test_a_rerun_whose_first_item_fails_does_not_begin_the_others() -> None:
    ran = simulate(
        "nodes: [{name: e, forEach: {range: 3, maxParallel: 1}, job: J}]",
        "{events: [{node: e, index: 0, attempt: 2, exitCode: 1}], actions: [{at: 20, rerun: All}]}",
    )
    assert ran.jobs == ["e[0]#1 0-1", "e[1]#1 1-2", "e[2]#1 2-3", "e[0]#2 20-21"]
    assert ran.outcome == "Failed(NodeFailed) 21"


UNDONE = """
nodes:
- {name: z, job: J, compensate: {job: J}}
- {name: a, dependsOn: [z], job: J, compensate: {job: J}}
- {name: b, dependsOn: [a], job: J}
finally: [{name: f, job: J}]
"""
SLOW = "events: [{node: b, exitCode: 1}, {node: a, role: compensate, attempt: 2, durationSeconds: 100}]\n"


def test_a_compensation_of_a_rerun_that_is_cut_off_keeps_its_number() -> None:
    actions = "actions: [{at: 50, rerun: Failed}, {at: 56, stop: Terminate}, {at: 56, rerun: Failed}]"
    ran = simulate(UNDONE, SLOW + actions)
    assert [job for job in ran.jobs if job.startswith("~a")] == ["~a#1 3-4", "~a#2 53-56", "~a#3 57-58"]


def test_a_rerun_whose_compensations_take_too_long_ends_after_the_one_that_runs() -> None:
    ran = simulate(UNDONE + "finallyTimeoutSeconds: 10", SLOW + "actions: [{at: 50, rerun: Failed}]")
    assert ran.jobs[-1] == "~a#2 53-63"
    assert ran.outcome == "Failed(DeadlineExceeded) 63"


def test_a_rerun_of_a_suspended_run_waits_for_the_resume() -> None:
    ran = simulate(
        "nodes: [{name: a, job: J}]",
        """
        events: [{node: a, attempt: 1, exitCode: 1}]
        actions: [{at: 0.5, suspend: true}, {at: 10, rerun: Failed}, {at: 20, suspend: false}]
        """,
    )
    assert ran.jobs == ["a#1 0-1", "a#2 20-21"]


GRAPHS = """
graphs:
- {name: g, nodes: [{name: x, retry: {limit: 2, backoff: {initialSeconds: 0}}, job: J}, {name: y, job: J},
    {name: each, forEach: {range: 2}, job: J}]}
"""


@pytest.mark.parametrize(
    ("workflow", "rerun"),
    [
        ("nodes: [{name: sub, graph: {name: g}}]", "All"),
        ("nodes: [{name: sub, graph: {name: g}}]", "Nodes, nodes: [sub]"),
        ("nodes: [{name: bad, job: J}, {name: sub, dependsOn: ['bad:Failed'], graph: {name: g}}]", "Failed"),
        ("nodes: [{name: bad, job: J}]\nfinally: [{name: sub, graph: {name: g}}]", "Failed"),
    ],
)
def test_what_is_done_again_in_a_graph_counts_the_attempts_that_were_made(workflow: str, rerun: str) -> None:
    """Not those of its neighbours: a Job of the graph that was tried three times does not make them three of all."""
    ran = simulate(
        workflow + GRAPHS,
        f"""
        events:
        - {{node: bad, exitCode: 1}}
        - {{node: sub/x, attempt: 1, exitCode: 1}}
        - {{node: sub/x, attempt: 2, exitCode: 1}}
        actions: [{{at: 50, rerun: {rerun}}}]
        """,
    )
    made = {name: sum(job["node"] == name for job in ran.report["jobs"]) for name in ("sub/x", "sub/y", "sub/each")}
    assert made == {"sub/x": 4, "sub/y": 2, "sub/each": 4}
    assert {name: ran.report["nodes"][name]["attempts"] for name in made} == made
    assert [item["attempts"] for item in ran.report["nodes"]["sub/each"]["items"]] == [2, 2]


def test_the_handler_of_a_handler_that_is_done_again_is_done_again_too() -> None:
    """What it did was for an earlier failure, or for none: it must not catch the next one unasked."""
    ran = simulate(
        """
        nodes:
        - {name: bad, allowFailure: true, job: J}
        - {name: other, job: J}
        - {name: handler, dependsOn: ["bad:Failed"], job: J}
        - {name: second, dependsOn: ["handler:Failed", other], join: Any, job: J}
        """,
        """
        events:
        - {node: bad, exitCode: 1}
        - {node: handler, attempt: 2, exitCode: 1}
        - {node: second, attempt: 2, exitCode: 1}
        actions: [{at: 50, rerun: Failed}]
        """,
    )
    assert ran.nodes["handler"] == "Failed(Error) 51-52 x2"
    assert ran.nodes["second"] == "Failed(Error) 50-51 x2"
    assert ran.report["outcome"] == "Failed"
