import pytest
from weft.metrics import Metrics


def test_an_ended_run_is_counted_and_timed_by_outcome():
    metrics = Metrics()
    metrics.run_ended(outcome="Succeeded", seconds=12.0)
    text = metrics.exposition().decode()
    assert 'weft_runs_total{outcome="Succeeded"} 1.0' in text
    assert 'weft_run_duration_seconds_sum{outcome="Succeeded"} 12.0' in text


def test_a_run_that_never_began_is_counted_and_not_timed():
    metrics = Metrics()
    metrics.run_ended(outcome="Failed", seconds=None)
    text = metrics.exposition().decode()
    assert 'weft_runs_total{outcome="Failed"} 1.0' in text
    assert "weft_run_duration_seconds_count" not in text


def test_every_result_of_notifications_is_there_before_the_first():
    samples = [sample for family in Metrics().notifications.collect() for sample in family.samples]
    assert {s.labels["result"]: s.value for s in samples if s.name.endswith("_total")} == {
        "Delivered": 0, "Retried": 0, "Failed": 0, "Dropped": 0,
    }  # fmt: skip


def test_an_ended_node_is_counted_and_timed():
    metrics = Metrics()
    metrics.node_ended(phase="Failed", reason="DeadlineExceeded", seconds=3.0)
    text = metrics.exposition().decode()
    assert 'weft_nodes_total{phase="Failed",reason="DeadlineExceeded"} 1.0' in text
    assert 'weft_node_duration_seconds_count{phase="Failed"} 1.0' in text


def test_api_calls_are_counted_by_verb_resource_and_code():
    metrics = Metrics()
    metrics.api_call(verb="create", resource="pods", code="201", seconds=0.004)
    metrics.api_call(verb="create", resource="pods", code="429", seconds=0.001)
    text = metrics.exposition().decode()
    assert 'weft_api_calls_total{code="201",resource="pods",verb="create"} 1.0' in text
    assert 'weft_api_calls_total{code="429",resource="pods",verb="create"} 1.0' in text
    assert 'weft_api_call_duration_seconds_count{resource="pods",verb="create"} 2.0' in text


@pytest.mark.parametrize("bound", ["0.001", "0.05", "10.0"])
def test_the_hop_is_measured_from_a_millisecond_to_ten_seconds(bound):
    metrics = Metrics()
    metrics.hop.observe(0.0004)
    assert f'weft_hop_seconds_bucket{{le="{bound}"}} 1.0' in metrics.exposition().decode()


def test_two_operators_in_one_process_do_not_share_numbers():
    one, other = Metrics(), Metrics()
    one.leader.set(7)
    assert "weft_leader 7.0" in one.exposition().decode()
    assert "weft_leader 0.0" in other.exposition().decode()


class Busy:
    def active(self):
        return 2, 5


def test_what_is_active_is_asked_of_everybody_who_has_runs_in_memory():
    metrics = Metrics()
    one, other = Busy(), Busy()
    metrics.active.update([one, other])
    text = metrics.exposition().decode()
    assert "weft_active_runs 4.0" in text
    assert "weft_active_nodes 10.0" in text
    metrics.active.discard(one)
    assert "weft_active_runs 2.0" in metrics.exposition().decode()


def test_every_metric_is_ours_or_the_processs_and_no_label_names_a_users_object():
    labels_that_grow = {"run", "workflow", "node", "namespace", "name", "pod", "job"}
    for collector in vars(Metrics()).values():
        for family in collector.collect() if hasattr(collector, "collect") else ():
            assert family.name.startswith(("weft_", "process_"))
        assert not labels_that_grow & set(getattr(collector, "_labelnames", ()))
