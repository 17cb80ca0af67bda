"""AdmissionReviews as the API server sends and takes them."""

import json
from typing import Any

import pytest
from weft.admission.judge import Verdict
from weft.admission.review import LONGEST_WARNING, MalformedReview, Review, answer, read_review
from weft.api.problems import Problem

REVIEW = Review("u-1", "shop", {"kind": "Workflow"})


def sent(**request: Any) -> bytes:
    full = {"uid": "u-1", "namespace": "shop", "object": {"kind": "Workflow"}} | request
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": full}).encode()


def test_a_review_is_read() -> None:
    assert read_review(sent()) == REVIEW


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"[]", b"{}", b'{"request": 3}', sent(uid=3), sent(object=None), sent(object=[]),
        sent().replace(b"/v1", b"/v1beta1"),
    ],
)  # fmt: skip
def test_anything_else_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReview):
        read_review(body)


def test_what_is_right_is_allowed() -> None:
    assert answer(REVIEW, Verdict()) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u-1", "allowed": True},
    }


def test_a_refusal_says_all_that_is_wrong_and_is_not_endless() -> None:
    problems = tuple(Problem(f"spec.nodes[{index}]", "is wrong") for index in range(30))
    response = answer(REVIEW, Verdict(problems))["response"]
    assert (response["allowed"], response["status"]["code"]) == (False, 422)
    assert response["status"]["message"].startswith("spec.nodes[0]: is wrong; spec.nodes[1]: is wrong; ")
    assert response["status"]["message"].endswith("(and 20 more)")


def test_a_refusal_names_the_object_and_each_field_as_the_api_server_does() -> None:
    """`kubectl edit` tells of the causes alone, and `kubectl apply` prints its whole patch unless there are some."""
    review = Review("u-1", "shop", {"kind": "Workflow", "metadata": {"name": "prices"}})
    problems = (Problem("spec.nodes[1].dependsOn[0]", "there is no node named 'ax' here"), Problem("", "is too deep"))
    assert answer(review, Verdict(problems))["response"]["status"]["details"] == {
        "group": "weft.dev",
        "kind": "Workflow",
        "name": "prices",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "field": "spec.nodes[1].dependsOn[0]",
                "message": "there is no node named 'ax' here",
            },
            {"reason": "FieldValueInvalid", "field": "object", "message": "is too deep"},
        ],
    }


@pytest.mark.parametrize("obj", [{"kind": 3, "metadata": []}, {}, {"metadata": {"name": {}}}], ids=str)
def test_what_has_no_name_is_refused_without_one(obj: dict[str, Any]) -> None:
    details = answer(Review("u-1", "shop", obj), Verdict((Problem("spec", "is wrong"),)))["response"]["status"][
        "details"
    ]
    assert "name" not in details
    assert details["causes"][0]["field"] == "spec"


def test_the_causes_are_not_endless_and_say_how_many_more_there_are() -> None:
    problems = tuple(Problem(f"spec.nodes[{index}]", "is wrong") for index in range(30))
    causes = answer(REVIEW, Verdict(problems))["response"]["status"]["details"]["causes"]
    assert len(causes) == 11
    assert causes[-1]["message"] == "and 20 problems more"


def test_warnings_come_with_an_answer_of_either_kind_and_fit() -> None:
    verdict = Verdict(warnings=("w" * 1000, "short"))
    assert answer(REVIEW, verdict)["response"]["warnings"] == ["w" * LONGEST_WARNING, "short"]
