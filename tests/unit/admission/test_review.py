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


def test_warnings_come_with_an_answer_of_either_kind_and_fit() -> None:
    verdict = Verdict(warnings=("w" * 1000, "short"))
    assert answer(REVIEW, verdict)["response"]["warnings"] == ["w" * LONGEST_WARNING, "short"]
