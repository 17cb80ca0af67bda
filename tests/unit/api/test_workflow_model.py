"""A whole Workflow: the design's example, its defaults, and what a NodeType and a channel are held to."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from weft.api.approval import Approval
from weft.api.nodetype import NodeType
from weft.api.notificationchannel import NotificationChannel
from weft.api.problems import parse
from weft.api.workflow import Workflow, WorkflowSpec
from weft.api.workflowqueue import WorkflowQueue

LISTING = Path(__file__).parents[2] / "data" / "listing.yaml"


def test_the_designs_example_is_understood() -> None:
    written = yaml.safe_load(LISTING.read_text())
    workflow, problems = parse(Workflow, written)
    assert problems == []
    assert workflow is not None
    assert [node.body_kind for node in workflow.spec.nodes] == ["job", "switch", "approval", "job", "graph"]
    assert workflow.spec.to_wire() == written["spec"]


def test_defaults_of_a_workflow() -> None:
    spec = WorkflowSpec.model_validate({"nodes": [{"name": "a", "job": {}}]})
    assert spec.finally_timeout_seconds == 600
    assert spec.failure_policy == "Drain"
    assert spec.jobs.keep == "Failed"
    assert spec.timeout_seconds is None
    assert spec.defaults.retry is None


def test_a_spec_cannot_be_changed() -> None:
    spec = WorkflowSpec.model_validate({"nodes": [{"name": "a", "job": {}}]})
    with pytest.raises(ValidationError, match="frozen"):
        spec.parallelism = 3  # type: ignore[misc]


CHANNEL = {"type": "Webhook", "webhook": {"url": "https://hooks.example/x"}}
APPROVAL = {"run": {"name": "r", "uid": "u"}, "node": "sign-off", "decision": "Approve", "by": "anna"}


@pytest.mark.parametrize(
    ("model", "spec", "said"),
    [
        (NodeType, {"job": {"image": "i"}, "outputs": [{"name": "n"}]}, None),
        (NodeType, {"parameters": [{"name": "to"}], "http": {"url": "https://x.example/${{ params.to }}"}}, None),
        (
            NodeType,
            {"description": "x"},
            "spec: a NodeType has exactly one of job, http, resource, expr; none was given",
        ),
        (NodeType, {"graph": {"name": "x"}}, "unknown field 'graph'"),
        (NotificationChannel, CHANNEL, None),
        (NotificationChannel, {"type": "Webhook"}, "spec: type Webhook needs webhook"),
        (NotificationChannel, {"type": "Pigeon"}, "spec.type: must be one of Webhook"),
        (
            NotificationChannel,
            {"type": "Webhook", "webhook": {}},
            "spec.webhook: a webhook has exactly one of url, urlFrom",
        ),
        (WorkflowQueue, {"maxActiveRuns": 3}, None),
        (WorkflowQueue, {"maxActiveRuns": 0}, "spec.maxActiveRuns: must be at least 1, got 0"),
        (Approval, APPROVAL, None),
        (Approval, {**APPROVAL, "decision": "Yes"}, "spec.decision: must be one of Approve, Reject"),
        (Approval, {**APPROVAL, "by": ""}, "spec.by: must have at least 1 characters, got 0"),
    ],
)
def test_the_other_kinds(model: type[BaseModel], spec: dict[str, Any], said: str | None) -> None:
    parsed, problems = parse(model, {"metadata": {"name": "x"}, "spec": spec})
    if said is None:
        assert problems == []
        assert parsed is not None
    else:
        assert said in "\n".join(map(str, problems))
