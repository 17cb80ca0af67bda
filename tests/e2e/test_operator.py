"""The operator itself: killed, standing by, taken away, watched."""

from __future__ import annotations

import random
import re
import time

from e2e.harness.operator import Operator
from e2e.harness.place import Cluster, Place, no_attempt_twice
from e2e.harness.stage import node, spec

FINALIZER = "batch.kubernetes.io/job-tracking"


def test_a_run_of_30_nodes_survives_being_killed_again_and_again(operator: Operator, place: Place) -> None:
    layers = [[f"n{layer}-{index}" for index in range(6)] for layer in range(5)]
    nodes = [
        node(name, "sleep 1", after=before)
        for before, layer in zip([[], *layers[:-1]], layers, strict=True)
        for name in layer
    ]
    run = place.start("thirty", spec(nodes, jobs={"keep": "All"}))
    moments = random.Random()
    for _ in range(4):
        time.sleep(moments.uniform(0.5, 3))  # a random moment, not a wait for something
        operator.kill()
        operator.wait_ready()
    run.finish()
    assert len(run.jobs()) == len(run.pods()) == 30
    no_attempt_twice(run)


def test_a_standby_takes_over_when_the_leader_is_killed(operator: Operator, place: Place) -> None:
    operator.install(replicas=2)
    try:
        run = place.start("failover", spec([node("first", "sleep 4"), node("second", after=["first"])]))
        run.running_pod("first")
        leader = operator.wait_ready()
        operator.kill(leader)
        run.finish()
        assert operator.wait_ready() != leader
        assert len(run.jobs()) == 2
        no_attempt_twice(run)
    finally:
        operator.install()


def test_a_namespace_with_active_runs_can_be_deleted(cluster: Cluster, operator: Operator, place: Place) -> None:
    run = place.start("doomed", spec([node("a", "sleep 600"), node("b", "sleep 600", forEach={"range": 2})]))
    run.running_pod("a")
    cluster.kubectl("delete", "namespace", place.name, "--timeout=60s")


def test_uninstalling_leaves_nothing_stuck(cluster: Cluster, operator: Operator, place: Place) -> None:
    active = place.start("active", spec([node("a", "sleep 600")]))
    active.running_pod("a")
    over = place.start("over", spec([node("a")], jobs={"keep": "All"})).finish()
    operator.uninstall()
    try:
        left = cluster.kubectl("get", "pods,jobs", "-n", place.name, "-o", "jsonpath={.items[*].metadata.finalizers}")
        assert FINALIZER not in left
        cluster.kubectl("delete", "namespace", place.name, "--timeout=60s")
    finally:
        operator.install()
    assert place.gone("Run", over.name)


def test_runs_go_on_after_the_operator_was_away(cluster: Cluster, operator: Operator, place: Place) -> None:
    """Work that ended, and runs that were made, while nobody was there."""
    run = place.start("waits", spec([node("a", "sleep 2"), node("b", after=["a"])]))
    run.running_pod("a")
    cluster.kubectl("scale", "-n", "weft-system", "deployment/weft", "--replicas=0")
    cluster.kubectl("wait", "-n", "weft-system", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator")
    try:
        run.until(lambda run: run.pods("a")[0]["status"]["phase"] == "Succeeded", "a has not ended")
        later = place.start("waits")
    finally:
        cluster.kubectl("scale", "-n", "weft-system", "deployment/weft", "--replicas=1")
        operator.wait_ready()
    run.finish()
    later.finish()
    assert len(run.jobs()) == 2


PROMISED = """
weft_runs_total weft_run_duration_seconds_bucket weft_nodes_total weft_node_duration_seconds_bucket weft_active_runs
weft_active_nodes weft_hop_seconds_bucket weft_queue_depth weft_queue_latency_seconds_bucket
weft_reconcile_duration_seconds_bucket weft_reconciles_total weft_api_calls_total weft_api_call_duration_seconds_bucket
weft_api_write_limit weft_api_writes_in_flight weft_status_written_bytes_total weft_leader process_cpu_seconds_total
"""


def test_metrics_count_runs_and_name_none(operator: Operator, place: Place) -> None:
    def succeeded() -> float:
        found = re.search(r'^weft_runs_total\{outcome="Succeeded"\} (\S+)$', operator.metrics(), re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    before = succeeded()
    run = place.start("measured", spec([node("a"), node("b", after=["a"])])).finish()
    place.wait_for(lambda: succeeded() >= before + 1, "the run is not counted")
    text = operator.metrics()
    names = set(re.findall(r"^([a-z_]+)", text, re.MULTILINE))
    assert set(PROMISED.split()) <= names, set(PROMISED.split()) - names
    assert re.search(r'^weft_nodes_total\{phase="Succeeded",reason="[A-Za-z]*"\} [1-9]', text, re.MULTILINE)
    assert re.search(r"^weft_hop_seconds_count [1-9]", text, re.MULTILINE)
    assert re.search(r"^weft_leader 1", text, re.MULTILINE)
    for name in (run.name, "measured", place.name):
        assert name not in text
