import click
import pytest
from support.apiserver import workflow_run
from support.transport import status
from weft.cli.approve import Person, approval_of, asked_of, decide, entitled, open_question, still_missing
from weft.kube.resources import APPROVALS

REVIEW = {"name": "review", "phase": "Waiting", "reason": "AwaitingApproval", "message": "Publish?"}
NODES = [
    {"name": "scrape", "phase": "Succeeded", "attempts": 1},
    REVIEW,
    {"name": "price[0]/check", "phase": "Succeeded", "attempts": 1},
    {"name": "price[1]/check", "phase": "Waiting", "reason": "AwaitingApproval"},
    {"name": "sign[0]/off", "phase": "Waiting", "reason": "AwaitingApproval"},
    {"name": "sign[1]/off", "phase": "Waiting", "reason": "AwaitingApproval"},
]
WORKFLOW = {
    "nodes": [
        {"name": "review", "approval": {"quorum": 2, "from": {"groups": ["merchants", "owners"]}}},
        {"name": "price", "graph": {"name": "pricing"}},
    ],
    "graphs": [{"name": "pricing", "nodes": [{"name": "check", "approval": {"from": {"users": ["bob"]}}}]}],
}


@pytest.fixture
def run(api):
    metadata = {"name": "listing-abc", "namespace": "shop"}
    api.add({"kind": "ControllerRevision", "metadata": metadata, "data": {"workflow": WORKFLOW}})
    return api.add(workflow_run("r", nodes=NODES, status={"workflowRevision": "listing-abc"}))


@pytest.fixture
def operator(api):
    """An operator that says of every Approval what `verdict` says."""

    def answer(asked):
        if asked.method == "POST" and asked.resource is APPROVALS:
            name = asked.body["metadata"]["name"]
            api.edit(APPROVALS, "shop", name, lambda approval: approval.update(status=dict(verdict)))

    verdict = {"accepted": True}
    api.after.append(answer)
    return verdict


def test_an_approval_is_of_the_user_for_the_groups_asked(api, call, run, operator):
    result = call("approve", "r", "review", "-m", "looks good")
    assert result.stdout == "review of run r is approved by alice\n1 more approval is needed, from others\n"
    [approval] = api.all(APPROVALS, "shop")
    assert approval["spec"] == {
        "run": {"name": "r", "uid": run["metadata"]["uid"]}, "node": "review", "rerunGeneration": 0,
        "decision": "Approve", "by": "alice", "groups": ["merchants"], "comment": "looks good",
    }  # fmt: skip
    assert approval["metadata"]["labels"] == {
        "weft.dev/workflow": "listing", "weft.dev/run": "r", "weft.dev/node": "review",
        "app.kubernetes.io/managed-by": "weft",
    }  # fmt: skip
    assert approval["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]


def refuse_owners(asked):
    """What the admission plugin OwnerReferencesPermissionEnforcement says to who may not delete what he creates."""
    if asked.method == "POST" and asked.resource is APPROVALS and asked.body["metadata"].get("ownerReferences"):
        return status(403, "Forbidden", "cannot set an ownerRef on a resource you can't delete")
    return None


def test_who_may_create_approvals_and_not_delete_them_decides_where_owners_need_that_right(api, call, run, operator):
    api.before.append(refuse_owners)
    result = call("approve", "r", "review")
    assert result.stdout == "review of run r is approved by alice\n1 more approval is needed, from others\n"
    [approval] = api.all(APPROVALS, "shop")
    assert "ownerReferences" not in approval["metadata"]  # the operator gives it its owner


def test_who_may_decide_and_not_read_approvals_is_told_that_it_is_done(api, call, run, operator):
    api.fail(403, method="GET", plural="approvals", times=100)
    first, again = call("approve", "r", "review"), call("approve", "r", "review")
    assert (first.exit_code, first.stdout) == (0, "review of run r is approved by alice\n")
    assert first.stderr == "whether it counts is for those to see who may read approvals\n"
    assert again.stderr == "Error: alice has decided on review of run r already; a decision is made once\n"


def test_who_may_not_create_approvals_is_told_so(api, call, run):
    api.fail(403, method="POST", plural="approvals", times=2)
    assert call("approve", "r", "review").exit_code == 1
    assert api.all(APPROVALS) == []


def test_a_rejection_needs_nobody_else(api, call, run, operator):
    assert call("reject", "r", "review").stdout == "review of run r is rejected by alice\n"
    assert api.all(APPROVALS)[0]["spec"]["decision"] == "Reject"


def test_deciding_twice_is_refused(call, run, operator):
    call("approve", "r", "review")
    assert call("reject", "r", "review").stderr == (
        "Error: alice has approved review of run r already; a decision is made once\n"
    )


def test_the_operators_refusal_is_an_error_and_can_be_undone(api, call, run, operator):
    operator.update(accepted=False, message="alice is not among those who are asked")
    result = call("approve", "r", "review")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: the decision does not count: alice is not among those who are asked\n"
    name = api.all(APPROVALS)[0]["metadata"]["name"]
    assert call("approve", "r", "review").stderr == (
        "Error: an earlier decision of alice was refused (alice is not among those who are asked); it is kept as"
        " evidence. To decide anew, have somebody delete it who may (role admin):"
        f" kubectl delete approvals {name} -n shop\n"
    )


def test_without_an_operator_the_decision_stands_and_that_is_said(session, run, waits, capsys):
    decide(session, "r", "review", "Approve", None)
    said = capsys.readouterr()
    assert said.out == "review of run r is approved by alice\n"
    assert "the operator has not taken the decision up yet" in said.err
    assert sum(waits) == pytest.approx(5)


def test_who_is_not_asked_is_told_before_anything_is_created(api, call, run):
    result = call("approve", "r", "price[1]/check")
    assert result.stderr == (
        "Error: price[1]/check asks users bob; you are alice, of merchants, system:authenticated\n"
    )
    assert api.all(APPROVALS) == []


def test_when_the_question_cannot_be_read_all_groups_are_named(api, call, run, operator):
    api.fail(403, method="GET", plural="controllerrevisions")
    assert call("approve", "r", "review").stdout == "review of run r is approved by alice\n"
    assert api.all(APPROVALS)[0]["spec"]["groups"] == ["merchants", "system:authenticated"]


def test_a_run_that_has_ended_asks_nothing(api, call):
    api.add(workflow_run("r", phase="Failed"))
    assert call("approve", "r", "review").stderr == "Error: run r has ended (Failed); it cannot be decided on\n"


@pytest.mark.parametrize(
    ("path", "found"),
    [("review", "review"), ("price[1]/check", "price[1]/check")],
)
def test_the_question_of_a_path(path, found):
    assert open_question(workflow_run("r"), NODES, path)["name"] == found


def test_a_path_without_position_will_do_where_one_item_asks():
    assert open_question(workflow_run("r"), NODES, "price/check")["name"] == "price[1]/check"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("revew", "run r has no node 'revew'; did you mean review?"),
        ("scrape", "scrape of run r does not wait for an approval (Succeeded)"),
        ("sign/off", "sign/off is asked 2 times in run r; say which one: sign[0]/off, sign[1]/off"),
    ],
)
def test_a_path_that_asks_nothing(path, message):
    with pytest.raises(click.ClickException) as refused:
        open_question(workflow_run("r"), NODES, path)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("body", "level", "asked"),
    [
        ({}, 0, None),
        ({"from": {"users": ["a"]}}, 0, {"users": ["a"]}),
        ({"from": {"users": ["a"]}, "escalation": [{"from": {"groups": ["b"]}}]}, 1, {"groups": ["b"]}),
    ],
)
def test_an_escalation_asks_others(body, level, asked):
    assert asked_of(body, {"level": level}) == asked


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        (None, ()),
        ({}, ()),
        ({"users": ["alice"]}, ()),
        ({"groups": ["b", "a"]}, ("a",)),
        ({"users": ["alice"], "groups": ["a", "b"]}, ("a",)),
    ],
)
def test_only_the_groups_asked_for_are_named(asked, groups):
    assert entitled(Person("alice", ("a", "c")), "review", asked) == groups


def test_the_name_is_that_of_question_and_person():
    def name(*, by="alice", node="review", generation=0):
        made = workflow_run("r", status={"rerunGeneration": generation})
        made["metadata"]["uid"] = "u"
        return approval_of(made, {"name": node}, by, "Approve", groups=(), comment=None)["metadata"]["name"]

    assert name() == name()
    assert len({name(), name(by="bob"), name(node="other"), name(generation=1)}) == 4


def test_the_name_of_an_approval_of_a_run_with_a_long_name_is_one_that_the_server_takes():
    run = workflow_run("r" * 241 + "." + "r" * 11, status={})
    run["metadata"]["uid"] = "u"
    made = approval_of(run, {"name": "review"}, "alice", "Approve", groups=(), comment=None)["metadata"]["name"]
    assert len(made) <= 253
    assert ".-" not in made


BY_ALICE, BY_BOB = ({"by": name, "decision": "Approve"} for name in ("alice", "bob"))


@pytest.mark.parametrize(
    ("entry", "quorum", "said"),
    [
        (REVIEW, 2, "1 more approval is needed, from others"),
        ({**REVIEW, "decisions": [BY_ALICE]}, 3, "2 more approvals are needed, from others"),
        ({**REVIEW, "decisions": [BY_BOB]}, 2, "no more approvals are needed"),
        ({"phase": "Succeeded"}, 2, "no more approvals are needed"),
    ],
)
def test_how_many_are_missing(entry, quorum, said):
    assert still_missing(entry, Person("alice"), quorum) == said
