import pytest
from weft.cli.refusals import closest, explain
from weft.kube.errors import ApiError, Unreachable, from_response, from_status


def refusal(code, message, reason="", **details):
    return from_status(code, {"message": message, "reason": reason, "details": details})


FORBIDDEN = 'workflowruns.weft.dev is forbidden: User "eve" cannot'


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            refusal(403, f'{FORBIDDEN} create resource "workflowruns" in API group "weft.dev" in the namespace "shop"'),
            'eve may not create workflowruns in namespace shop; a Role must allow it: {apiGroups: ["weft.dev"],'
            ' resources: ["workflowruns"], verbs: ["create"]}',
        ),
        (
            refusal(403, f'{FORBIDDEN} list resource "workflowruns" in API group "weft.dev" at the cluster scope'),
            'eve may not list workflowruns; a ClusterRole must allow it: {apiGroups: ["weft.dev"],'
            ' resources: ["workflowruns"], verbs: ["list"]}',
        ),
        (refusal(403, "policy says:\n no"), "policy says: no"),
        (
            refusal(422, 'WorkflowRun "r" is invalid: spec: Invalid value: ...', "Invalid", causes=[
                {"field": "spec", "message": "Invalid value: queue is immutable"}]),
            "spec: queue is immutable",
        ),
        (Unreachable("cannot reach https://h: Connection refused"), "cannot reach https://h: Connection refused"),
        (ApiError("there is no context 'x'"), "there is no context 'x'"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_with_its_mend(error, line):
    assert explain(error) == line


@pytest.mark.parametrize("message", ["the server could not find the requested resource", "404 page not found"])
def test_a_cluster_without_weft_is_told_from_a_missing_object(message):
    assert "weft crds | kubectl apply" in explain(from_response(404, message.encode(), {}))
    assert explain(refusal(404, 'workflowruns "r" not found')) == 'workflowruns "r" not found'


def test_bad_credentials_say_what_to_do():
    assert "log in again" in explain(refusal(401, "Unauthorized"))


@pytest.mark.parametrize(
    ("known", "end"),
    [
        (["listing-1", "other"], "; did you mean listing-1?"),
        (["a", "b"], "; there are: a, b"),
        ([], "; there is none"),
        (list("abcdefg"), "; there are: a, b, c, d, e and 2 more"),
    ],
)
def test_closest(known, end):
    assert closest("listing-l", known) == end
