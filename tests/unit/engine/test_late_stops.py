"""Work that was done before its stop reached it counts: it is neither lost, nor done again, nor left undone."""

from typing import Any

import pytest
from support.engine import START, Driven, drive
from weft.engine.observation import AttemptEnded, Controls

PAY = {"name": "pay", "job": "J"}


def end(run: Driven, path: str, *, at: float, text: str = "paid=1", succeeded: bool = True) -> None:
    """The attempt of that path has ended by itself; its stop had been asked for."""
    run.see(AttemptEnded(run.attempt(path), START + at, succeeded=succeeded, text=text), at=at)


def phase(run: Driven, name: str = "pay") -> tuple[str, Any, Any]:
    node = next(node for node in run.state.main.nodes if node.node.name == name)
    return node.phase, node.reason, node.outputs


PAID = ("Succeeded", None, {"paid": "1"})


def test_what_succeeded_while_the_run_was_stopped_is_undone() -> None:
    run = drive({"nodes": [{**PAY, "compensate": {"job": "J"}}]})
    run.see(Controls(stop="Cancel"), at=1)
    end(run, "pay", at=2)
    assert phase(run) == PAID
    assert run.state.stage == "Compensating"
    run.succeed("pay")
    assert (run.state.outcome, phase(run)[0]) == ("Cancelled", "Compensated")


def test_what_failed_is_cancelled_as_ever() -> None:
    run = drive({"nodes": [{**PAY, "retry": {"limit": 3}}]})
    run.see(Controls(stop="Cancel"), at=1)
    end(run, "pay", at=2, succeeded=False)
    assert phase(run)[:2] == ("Cancelled", "Stopped")


def test_what_succeeded_with_outputs_that_nobody_can_read_is_not_tried_again() -> None:
    run = drive({"nodes": [{**PAY, "retry": {"limit": 3}}]})
    run.see(Controls(stop="Cancel"), at=1)
    end(run, "pay", at=2, text="no outputs")
    assert phase(run)[:2] == ("Cancelled", "Stopped")
    assert run.state.finished


@pytest.mark.parametrize("spec", [{"timeoutSeconds": 5}, {"failurePolicy": "Cancel"}])
def test_so_is_what_succeeded_when_the_run_failed(spec: dict[str, Any]) -> None:
    run = drive(
        {"nodes": [PAY, {"name": "other", "job": "J"}, {"name": "next", "dependsOn": ["pay"], "job": "J"}], **spec}
    )
    run.fail("other", at=1) if "failurePolicy" in spec else run.see(at=5)
    end(run, "pay", at=6)
    if "failurePolicy" not in spec:
        end(run, "other", at=6, succeeded=False)
    assert phase(run) == PAID
    assert phase(run, "next")[0] == "Skipped"
    assert run.state.outcome == "Failed"


def test_a_round_that_was_done_is_the_last() -> None:
    run = drive({"nodes": [{**PAY, "while": {"condition": "true"}, "compensate": {"job": "J"}}], "timeoutSeconds": 5})
    run.see(at=5)
    end(run, "pay", at=6)
    assert phase(run)[:2] == ("Cancelled", "DeadlineExceeded")
    assert [(id_.role, id_.iteration) for id_ in run.state.active] == [("compensate", 0)]


@pytest.mark.parametrize(("nodes", "expected"), [(1, PAID), (2, ("Cancelled", "Stopped", None))])
def test_a_graph_succeeds_when_all_that_is_in_it_was_done(nodes: int, expected: Any) -> None:
    inner = [PAY, {"name": "more", "dependsOn": ["pay"], "job": "J"}][:nodes]
    outputs = [{"name": "paid", "value": "nodes.pay.outputs.paid"}]
    graph = {"name": "inner", "nodes": inner, "outputs": outputs}
    run = drive({"nodes": [{"name": "pay", "graph": {"name": "inner"}}], "graphs": [graph]})
    run.see(Controls(stop="Cancel"), at=1)
    end(run, "pay/pay", at=2)
    assert phase(run) == expected
    assert run.state.finished


@pytest.mark.parametrize("service", [False, True])
def test_what_a_dead_operator_had_stopped_in_vain_is_done_but_a_service_is_needed_again(service: bool) -> None:
    """The graph is not being closed any more: what failed has gone without a trace."""
    run = drive(
        {"nodes": [{**PAY, "service": service}, {"name": "next", "dependsOn": ["pay:Ready"] * service, "job": "J"}]}
    )
    seen = AttemptEnded(run.attempt("pay"), START + 1, succeeded=True, text="paid=1", stopped="RunFailed")
    run.see(seen, at=1)
    assert phase(run) == (("Running", None, None) if service else PAID)
