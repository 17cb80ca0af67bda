"""AdmissionReview, the protocol between the API server and a webhook: what is asked, and what is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from weft.admission.judge import Verdict
from weft.api.base import GROUP
from weft.api.objects import Obj
from weft.api.problems import Problem, summary
from weft.kube.deep import parsed

API_VERSION = "admission.k8s.io/v1"
WHOLE = "object"
"""The field of a problem that no field has: kubectl puts a colon after it."""
MOST_PROBLEMS = 10
"""Problems told in one refusal: enough to mend a file in one go, few enough to read."""
LONGEST_WARNING = 250
"""Characters of a warning; the API server cuts at 256."""


class MalformedReview(ValueError):
    """What came is no AdmissionReview of the version served."""


@dataclass(frozen=True)
class Review:
    """One question: may this object be stored?"""

    uid: str
    namespace: str
    obj: Obj


def read_review(body: bytes) -> Review:
    """Read what the API server sends. Raises MalformedReview."""
    try:
        document = parsed(body)
    except orjson.JSONDecodeError as error:
        raise MalformedReview(f"not JSON: {error}") from None
    request = document.get("request") if isinstance(document, Mapping) else None
    if not isinstance(request, Mapping) or document.get("apiVersion") != API_VERSION:
        raise MalformedReview(f"not an AdmissionReview of {API_VERSION}")
    uid, obj = request.get("uid"), request.get("object")
    if not isinstance(uid, str) or not isinstance(obj, dict):
        raise MalformedReview("its request has no uid or no object")
    return Review(uid, str(request.get("namespace") or ""), obj)


def answer(review: Review, verdict: Verdict) -> dict[str, Any]:
    """Give the AdmissionReview that answers: refused with every path and mend, as kubectl prints it."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": not verdict.problems}
    if verdict.problems:
        message = summary(verdict.problems, MOST_PROBLEMS)
        details = _details(review.obj, verdict.problems)
        response["status"] = {"code": 422, "reason": "Invalid", "message": message, "details": details}
    if verdict.warnings:
        response["warnings"] = [warning[:LONGEST_WARNING] for warning in verdict.warnings]
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def _details(obj: Obj, problems: Sequence[Problem]) -> dict[str, Any]:
    """Say what is wrong as the API server does of its own checks, field by field.

    `kubectl edit` shows these alone, and none of the message; `kubectl apply` leaves out the patch it has sent.
    """
    told = list(problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        told.append(Problem("", f"and {len(problems) - MOST_PROBLEMS} problems more"))
    causes = [
        {"reason": "FieldValueInvalid", "field": problem.path or WHOLE, "message": problem.message} for problem in told
    ]
    metadata = obj.get("metadata")
    names = {"kind": obj.get("kind"), "name": metadata.get("name") if isinstance(metadata, Mapping) else None}
    known = {key: value for key, value in names.items() if isinstance(value, str)}
    return {"group": GROUP, **known, "causes": causes}
