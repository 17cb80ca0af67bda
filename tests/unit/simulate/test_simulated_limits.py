"""What holds nodes back: parallelism and concurrency keys."""

import pytest
from support.simulation import simulate


def test_parallelism_counts_pods_and_ready_nodes_start_in_written_order() -> None:
    ran = simulate(
        """
        parallelism: 2
        nodes:
        - {name: z, job: J}
        - {name: each, forEach: {range: 2}, job: J}
        - {name: a, job: J}
        - {name: pause, wait: {seconds: 1}}
        """
    )
    assert ran.jobs == ["z#1 0-1", "each[0]#1 0-1", "each[1]#1 1-2", "a#1 1-2"]
    assert ran.nodes["pause"] == "Succeeded 0-1"


KEY = [
    ("Queue", {"a": "Succeeded 0-3", "b": "Succeeded 3-6", "c": "Succeeded 6-9"}),
    ("Skip", {"a": "Succeeded 0-3", "b": "Skipped(ConcurrencySkipped)", "c": "Skipped(ConcurrencySkipped)"}),
]


@pytest.mark.parametrize(("policy", "expected"), KEY)
def test_a_concurrency_key_is_shared_by_its_name(policy: str, expected: dict[str, str]) -> None:
    key = f"concurrency: {{key: 'deploy-${{{{ params.region }}}}', policy: {policy}}}"
    ran = simulate(
        f"""
        failurePolicy: Continue
        parameters: [{{name: region, default: eu}}]
        nodes: [{{name: a, {key}, job: J}}, {{name: b, {key}, job: J}}, {{name: c, {key}, job: J}}]
        """,
        "default: {durationSeconds: 3}",
    )
    assert ran.nodes == expected


def test_cancel_running_takes_the_key_from_its_oldest_holder() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: a, concurrency: {key: k, policy: CancelRunning}, job: J}
        - {name: first, job: J}
        - {name: b, dependsOn: [first], concurrency: {key: k, policy: CancelRunning}, job: J}
        """,
        "events: [{node: a, durationSeconds: 50}]",
    )
    assert ran.nodes["a"] == "Cancelled(ConcurrencyCancelled) 0-1"
    assert ran.nodes["b"] == "Succeeded 1-2"
    assert ran.report["outcome"] == "Failed"
    assert ran.report["message"] == "a was cancelled (ConcurrencyCancelled)"


def test_who_lost_a_key_has_failed_its_graph_unless_that_is_allowed() -> None:
    workflow = """
        failurePolicy: {policy}
        nodes:
        - {{name: inner, allowFailure: {allowed}, graph: {{name: g}}}}
        - {{name: next, dependsOn: [inner], job: J}}
        - {{name: first, job: J}}
        - {{name: beside, job: J}}
        - {{name: taker, dependsOn: [first], concurrency: {{key: k, policy: CancelRunning}}, job: J}}
        graphs: [{{name: g, nodes: [{{name: a, concurrency: {{key: k, policy: CancelRunning}}, job: J}}]}}]
        """
    scenario = "events: [{node: inner/a, durationSeconds: 50}, {node: beside, durationSeconds: 5}]"
    ran = simulate(workflow.format(policy="Cancel", allowed="false"), scenario)
    assert ran.nodes["inner/a"] == "Cancelled(ConcurrencyCancelled) 0-1"
    assert ran.nodes["inner"] == "Failed(GraphFailed) 0-1"
    assert ran.nodes["next"] == "Skipped(UpstreamFailed)"
    assert ran.nodes["beside"] == "Cancelled(RunFailed) 0-1"
    assert ran.report["outcome"] == "Failed"
    forgiven = simulate(workflow.format(policy="Cancel", allowed="true"), scenario)
    assert forgiven.nodes["next"] == "Succeeded 1-2"
    assert forgiven.nodes["beside"] == "Succeeded 0-5"
    assert forgiven.report["outcome"] == "Succeeded"


def test_a_loop_whose_item_lost_a_key_is_cancelled() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: loop, forEach: {range: 2}, concurrency: {key: 'k${{ item }}', policy: CancelRunning}, job: J}
        - {name: first, job: J}
        - {name: b, dependsOn: [first], concurrency: {key: k1, policy: CancelRunning}, job: J}
        """,
        "events: [{node: loop, durationSeconds: 9}]",
    )
    assert ran.nodes["loop"] == "Cancelled(ConcurrencyCancelled) 0-9 x2"
    assert ran.nodes["b"] == "Succeeded 1-2"
    assert ran.report["outcome"] == "Failed"
