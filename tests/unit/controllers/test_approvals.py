"""Which decisions count: bound to their question, by those who are asked, once per person."""

from typing import Any

import pytest
from support.engine import restored
from support.manifests import approval
from support.specs import compiled, node
from weft.api.objects import Obj
from weft.controllers import approvals
from weft.controllers.approvals import ACCEPTED, decisions_for, judge
from weft.engine import advance
from weft.engine.observation import AttemptEnded, Decision
from weft.engine.state import RunContext, RunState, Unit
from weft.graph.compiled import CompiledWorkflow

ANYBODY: dict[str, Any] = {}
REVIEW = {"quorum": 2, "from": {"users": ["ann", "bob"], "groups": ["merchants"]}}


def began(workflow: CompiledWorkflow) -> RunState:
    state, _ = advance.begin(workflow, RunContext(uid="u"), 1_000.0)
    return state


def asking(**body: Any) -> RunState:
    return began(compiled(node("review", approval=body), node("after", "review")))


def looped(**loop: Any) -> RunState:
    """A run that asks price/review in every round of a loop."""
    graph = {"name": "steps", "nodes": [node("review", approval={"quorum": 1})]}
    return began(compiled(node("price", graph={"name": "steps"}, **loop), graphs=[graph]))


def counted(state: RunState, *approvals: Obj) -> list[str]:
    return [f"{each.by} {each.decision} {each.id.path}" for each in decisions_for(state, approvals)]


def yes(name: str = "a", **spec: Any) -> Obj:
    return approval(name, "u", **spec)


def take_up(state: RunState, *approvals: Obj) -> None:
    advance.advance(state, list(decisions_for(state, approvals)), 1_001.0)


def why(state: RunState, one: Obj, *others: Obj) -> str:
    verdict = judge(one, [one, *others], state)
    assert verdict is not None
    assert not verdict.accepted
    return verdict.message.removeprefix("the decision does not count: ")


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"by": "ann"}, True),
        ({"by": "eve"}, False),
        ({"by": "eve", "groups": ["merchants", "others"]}, True),
        ({"by": "eve", "groups": ["others"]}, False),
        ({"by": "merchants"}, False),
        ({"by": "ann", "node": "after"}, False),
        ({"by": "ann", "rerunGeneration": 1}, False),
        ({"by": "ann", "index": 0}, False),
        ({"by": "ann", "iteration": 0}, False),
        ({"by": "ann", "decision": "Reject"}, True),
    ],
)
def test_who_counts_for_what(spec: dict[str, Any], counts: bool) -> None:
    state = asking(**REVIEW)
    assert bool(counted(state, yes(**spec))) is counts


def test_everybody_counts_where_nobody_is_named() -> None:
    assert counted(asking(), yes(by="eve")) == ["eve Approve review"]


def test_a_decision_knows_its_attempt_and_when_it_was_made() -> None:
    state = asking()
    (id_,) = state.active
    assert list(decisions_for(state, [yes()])) == [Decision(id_, "ann", "Approve", 1_767_225_600.0)]


def test_the_oldest_come_first_and_what_is_known_comes_no_more() -> None:
    state = asking(**REVIEW)
    late, early = yes("a", by="bob", created="2026-01-02T00:00:00Z"), yes("b", by="ann")
    assert counted(state, late, early) == ["ann Approve review", "bob Approve review"]
    take_up(state, early)
    assert counted(state, late, early) == ["bob Approve review"]
    take_up(state, late)
    assert counted(state, late, early) == []
    assert state.main.nodes[0].phase == "Succeeded"


def test_refused_ones_are_passed_over() -> None:
    first = yes() | {"status": {"accepted": False}}
    assert counted(asking(), first) == []


def test_a_decision_made_early_counts_once_it_is_asked_for() -> None:
    state = began(compiled(node("first"), node("review", "first", approval=ANYBODY)))
    assert (counted(state, yes()), judge(yes(), [yes()], state)) == ([], None)
    (id_,) = state.active
    advance.advance(state, [AttemptEnded(id_, 1_001.0, True)], 1_001.0)
    assert counted(state, yes()) == ["ann Approve review"]


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ({"node": "price[1]/review"}, ["price[1]/review"]),
        ({"node": "price/review", "index": 1}, ["price[1]/review"]),
        ({"node": "price[1]/review", "index": 1}, ["price[1]/review"]),
        ({"node": "price[1]/review", "index": 0}, []),
        ({"node": "price/review"}, []),
        ({"node": "price/review", "iteration": 1}, []),
        ({"node": "price/review", "index": 1, "iteration": 1}, []),
    ],
)
def test_an_item_of_a_for_each_is_a_question_of_its_own(spec: dict[str, Any], asked: list[str]) -> None:
    state = looped(forEach={"items": ["x", "y"]})
    assert counted(state, yes(**spec)) == [f"ann Approve {path}" for path in asked]


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"node": "price[0]/review"}, True),
        ({"node": "price/review", "iteration": 0}, True),
        ({"node": "price/review", "iteration": 1}, False),
        ({"node": "price/review", "index": 0}, False),
    ],
)
def test_so_is_an_iteration_of_a_while(spec: dict[str, Any], counts: bool) -> None:
    state = looped(while_={"condition": "iteration < 2", "maxIterations": 3})
    assert bool(counted(state, yes(**spec))) is counts


def test_in_loops_within_loops_only_the_whole_path_counts() -> None:
    inner = {"name": "inner", "nodes": [node("review", approval=ANYBODY)]}
    outer = {"name": "outer", "nodes": [node("b", graph={"name": "inner"}, forEach={"range": 2})]}
    state = began(compiled(node("a", graph={"name": "outer"}, forEach={"range": 2}), graphs=[inner, outer]))
    assert counted(state, yes(node="a/b/review", index=1)) == []
    assert counted(state, yes(node="a[0]/b[1]/review")) == ["ann Approve a[0]/b[1]/review"]


def test_escalation_asks_others() -> None:
    boss = {"from": {"users": ["boss"]}, "timeoutSeconds": 10}
    state = asking(**{"from": {"users": ["ann"]}, "timeoutSeconds": 10, "onTimeout": "Escalate", "escalation": [boss]})
    ann, chief = yes("a"), yes("b", by="boss")
    assert counted(state, ann, chief) == ["ann Approve review"]
    assert judge(chief, [chief], state) is None, "he may be asked later"
    advance.advance(state, [], 1_010.0)
    assert counted(state, ann, chief) == ["boss Approve review"]
    assert why(state, ann) == "ann is not among those who are asked: users boss"


def test_a_decision_that_was_taken_up_is_accepted() -> None:
    state = asking(**REVIEW)
    assert judge(yes(), [yes()], state) is None
    take_up(state, yes())
    assert judge(yes(), [yes()], state) == ACCEPTED


@pytest.mark.parametrize("decision", ["Approve", "Reject"])
def test_the_decision_that_ended_a_question_is_accepted_after_a_restart_too(decision: str) -> None:
    """The operator has died before it could tell its author."""
    state = asking()
    one, late = yes(decision=decision), yes("late", by="cid")
    take_up(state, one)
    state = restored(state, 1_001.0)
    assert judge(one, [one, late], state) == ACCEPTED
    assert why(state, late, one).startswith("review had ended")


def test_he_who_approved_what_another_then_rejected_is_accepted_after_a_restart_too() -> None:
    state = asking(**REVIEW)
    one, other = yes(), yes("b", by="bob", decision="Reject")
    take_up(state, one, other)
    state = restored(state, 1_001.0)
    assert [judge(each, [one, other], state) for each in (one, other)] == [ACCEPTED, ACCEPTED]


def test_a_second_decision_of_one_person_is_refused() -> None:
    state = asking(**REVIEW)
    first, second = yes("a"), yes("b", decision="Reject", created="2026-01-02T00:00:00Z")
    take_up(state, first, second)
    assert judge(first, [second, first], state) == ACCEPTED
    assert why(state, second, first) == "ann has decided before"


def test_why_decisions_are_refused() -> None:
    state = asking(**REVIEW)
    assert why(state, yes(node="nothing")) == "the run has no node nothing"
    assert why(state, yes(node="after")) == "node after is no approval"
    assert why(state, yes(index=1)) == "review stands in no loop; leave out index and iteration"
    told = "eve is not among those who are asked: users ann, bob and groups merchants (spec.groups names one's own)"
    assert why(state, yes(by="eve")) == told
    take_up(state, yes("a"), yes("b", by="bob"))
    assert why(state, yes("c", by="cid", groups=["merchants"])) == "review had ended (Succeeded) before"
    state.generation = 2
    assert why(state, yes()) == "it is for rerun generation 0, and the run is at 2"


def test_one_that_names_no_round_of_a_loop_is_told_how() -> None:
    state = looped(forEach={"range": 2})
    assert why(state, yes(node="price/review")) == (
        "price/review is asked in every round of a loop around it; say in which, as in price[0]/review"
    )
    assert judge(yes(node="price/review", index=1), [], state) is None


def test_approvals_of_finally_and_of_compensations_may_come() -> None:
    undo = {"name": "undo", "nodes": [node("sign", approval=ANYBODY)]}
    state = began(
        compiled(
            node("a", compensate={"graph": {"name": "undo"}}), graphs=[undo], finally_=[node("end", approval=ANYBODY)]
        )
    )
    assert judge(yes(node="end"), [], state) is None
    assert judge(yes(node="a.compensate/sign"), [], state) is None


MANY = 200


def many_asked() -> tuple[RunState, list[Obj]]:
    """Two hundred open questions, and a decision on each: half of them by its whole path, half by its index."""
    decided = [yes(f"a{n}", node=f"price[{n}]/review") for n in range(0, MANY, 2)]
    decided += [yes(f"a{n}", node="price/review", index=n) for n in range(1, MANY, 2)]
    return looped(forEach={"range": MANY}), decided


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gives the nodes of the questions with which Approvals have been compared."""
    found: list[str] = []
    speaks_of = approvals.speaks_of

    def noted(spec: Obj, unit: Unit, state: RunState) -> bool:
        found.append(unit.path)
        return speaks_of(spec, unit, state)

    monkeypatch.setattr(approvals, "speaks_of", noted)
    return found


def test_a_decision_is_compared_with_what_it_may_be_about_alone(compared: list[str]) -> None:
    state, decided = many_asked()
    assert sorted(counted(state, *decided)) == sorted(f"ann Approve price[{n}]/review" for n in range(MANY))
    assert len(compared) == MANY


def test_so_is_one_whose_author_is_told_whether_it_counts(compared: list[str]) -> None:
    state, decided = many_asked()
    take_up(state, *decided)
    compared.clear()
    assert all(judge(one, decided, state) == ACCEPTED for one in decided)
    assert len(compared) == MANY
