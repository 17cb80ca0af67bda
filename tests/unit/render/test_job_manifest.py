"""The Job of an attempt, whole once and then field by field."""

from copy import deepcopy
from typing import Any

import pytest
from weft.engine.state import AttemptId
from weft.render.job import JobTemplate
from weft.render.names import RunRef

RUN = RunRef(namespace="shop", name="listing-x7k2p", uid="uid-1", workflow="listing")
FIRST = AttemptId("publish/upload", None, None, "main", 1)


def render(body: dict[str, Any], payload: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    timeout = options.pop("timeout", None)
    attempt = options.pop("attempt", FIRST)
    return JobTemplate(body, timeout=timeout).render(RUN, attempt, payload or {}, **options)


def pod(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def main(job: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod(job)["containers"][0]
    return container


def env(job: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable.get("value", variable) for variable in main(job)["env"]}


def test_a_whole_job() -> None:
    body = {
        "image": "app:${{ params.tag }}",
        "command": ["python", "upload.py"],
        "args": ["--limit", "${{ params.limit }}"],
        "env": [
            {"name": "LIMIT", "value": "${{ params.limit }}"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "BATCH", "expr": "batch"},
        ],
        "resources": {"limits": {"memory": "1Gi"}},
        "labels": {"team": "shop"},
        "annotations": {"note": "x"},
        "imagePullPolicy": "IfNotPresent",
    }
    payload = {
        "image": "app:1",
        "args": ["--limit", "500"],
        "env": [{"name": "LIMIT", "value": "500"}, {"name": "BATCH", "value": "[1,2]"}],
    }
    labels = {
        "team": "shop",
        "weft.dev/workflow": "listing",
        "weft.dev/run": "listing-x7k2p",
        "weft.dev/node": "publish.upload",
        "weft.dev/attempt": "1",
        "app.kubernetes.io/managed-by": "weft",
    }
    annotations = {
        "note": "x",
        "weft.dev/identity": '["uid-1","publish/upload",null,null,"main",1]',
        "weft.dev/run-uid": "uid-1",
    }
    job = render(body, payload, timeout=59.5)
    name = job["metadata"].pop("name")
    assert name.startswith("listing-x7k2p-publish-upload-")
    assert job == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": "shop",
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "weft.dev/v1alpha1",
                    "kind": "WorkflowRun",
                    "name": "listing-x7k2p",
                    "uid": "uid-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "managedBy": "weft.dev/operator",
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "restartPolicy": "Never",
                    "activeDeadlineSeconds": 90,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "main",
                            "image": "app:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python", "upload.py"],
                            "args": ["--limit", "500"],
                            "env": [
                                {"name": "WEFT_OUTPUTS", "value": "/dev/termination-log"},
                                {"name": "WEFT_RUN", "value": "listing-x7k2p"},
                                {"name": "WEFT_NAMESPACE", "value": "shop"},
                                {"name": "WEFT_NODE", "value": "publish/upload"},
                                {"name": "WEFT_ATTEMPT", "value": "1"},
                                {"name": "LIMIT", "value": "500"},
                                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                                {"name": "BATCH", "value": "[1,2]"},
                            ],
                            "resources": {"limits": {"memory": "1Gi"}},
                            "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                            "securityContext": {"allowPrivilegeEscalation": False},
                        }
                    ],
                },
            },
        },
    }


def test_a_template_serves_many_attempts_and_is_not_worn() -> None:
    body = {"image": "a", "env": [{"name": "A", "expr": "x"}], "podTemplate": {"metadata": {"labels": {"l": "1"}}}}
    template = JobTemplate(body)
    written = deepcopy(body)
    payload = {"env": [{"name": "A", "value": "1"}]}
    first = deepcopy(template.render(RUN, FIRST, payload))
    template.render(
        RUN,
        AttemptId("publish/upload", 7, None, "main", 2),
        {"env": [{"name": "A", "value": "2"}]},
        memory={"limits": 5},
    )
    assert template.render(RUN, FIRST, payload) == first
    assert body == written


def test_an_item_knows_its_index() -> None:
    assert env(render({"image": "a"}, attempt=AttemptId("price", 0, None, "main", 1)))["WEFT_INDEX"] == "0"
    assert "WEFT_INDEX" not in env(render({"image": "a"}))


def test_values_of_any_type_become_text() -> None:
    payload = {"args": [3, "x", [1]], "env": [{"name": "A", "value": {"b": True}}]}
    job = render({"image": "a"}, payload)
    assert main(job)["args"] == ["3", "x", "[1]"]
    assert env(job)["A"] == '{"b":true}'


def test_values_come_escaped_and_are_not_escaped_again() -> None:
    payload = {"args": ["$$(PATH)"], "env": [{"name": "A", "value": "$$(B)"}]}
    job = render({"image": "a", "args": ["${{ params.x }}"]}, payload)
    assert main(job)["args"] == ["$$(PATH)"]
    assert env(job)["A"] == "$$(B)"


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ({"script": "make"}, ["sh", "-ec", "make"]),
        ({"script": "print(1)", "command": ["python", "-c"]}, ["python", "-c", "print(1)"]),
        ({"script": "echo $(date) $HOME"}, ["sh", "-ec", "echo $$(date) $HOME"]),
        ({"script": "echo $$"}, ["sh", "-ec", "echo $$$$"]),
        ({"command": ["true"]}, ["true"]),
        ({}, None),
    ],
)
def test_the_command(body: dict[str, Any], command: list[str] | None) -> None:
    assert main(render({"image": "a", **body})).get("command") == command


def test_the_rest_of_the_typed_fields() -> None:
    body = {
        "image": "a",
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "serviceAccountName": "sa",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
    }
    job = render(body)
    of_main = {key: main(job)[key] for key in ("envFrom", "volumeMounts")}
    of_pod = {key: pod(job)[key] for key in ("volumes", "serviceAccountName", "nodeSelector", "tolerations")}
    assert {"image": "a", **of_main, **of_pod} == body


@pytest.mark.parametrize(
    ("body", "automount"),
    [
        ({}, False),
        ({"serviceAccountName": "sa"}, None),
        ({"podTemplate": {"spec": {"serviceAccountName": "sa"}}}, None),
        ({"podTemplate": {"spec": {"automountServiceAccountToken": True}}}, True),
    ],
)
def test_a_token_is_mounted_only_for_a_service_account_that_was_asked_for(
    body: dict[str, Any], automount: bool | None
) -> None:
    assert pod(render({"image": "a", **body})).get("automountServiceAccountToken") is automount


def test_without_a_timeout_there_is_no_deadline() -> None:
    assert "activeDeadlineSeconds" not in pod(render({"image": "a"}))


@pytest.mark.parametrize("left", [0, 1, 30, 31])
def test_no_deadline_is_beyond_what_the_api_server_takes(left: int) -> None:
    deadline = pod(render({"image": "a"}, timeout=2**31 - 1 - left))["activeDeadlineSeconds"]
    assert deadline == min(2**31 - 1, 2**31 - 1 - left + 30)


@pytest.mark.parametrize(
    ("resources", "memory", "raised"),
    [
        (
            {"requests": {"cpu": "1", "memory": "1Ki"}, "limits": {"memory": "2Ki"}, "claims": [{"name": "g"}]},
            {"requests": 2048, "limits": 4096},
            {"requests": {"cpu": "1", "memory": "2048"}, "limits": {"memory": "4096"}, "claims": [{"name": "g"}]},
        ),
        ({"requests": {"memory": "1Ki"}}, {"requests": 2048}, {"requests": {"memory": "2048"}}),
        (
            {"requests": {"cpu": "1"}, "limits": {"memory": "1Ki"}},
            {"limits": 2048},
            {"requests": {"cpu": "1"}, "limits": {"memory": "2048"}},
        ),
    ],
)
def test_memory_is_raised_after_running_out_of_it(
    resources: dict[str, Any], memory: dict[str, int], raised: dict[str, Any]
) -> None:
    assert main(render({"image": "a", "resources": resources}, memory=memory))["resources"] == raised


@pytest.mark.parametrize(
    ("labels", "managed", "spec"),
    [
        ({}, True, {"managedBy": "weft.dev/operator"}),
        ({}, False, {}),
        ({"kueue.x-k8s.io/queue-name": "q"}, True, {"suspend": True}),
        ({"kueue.x-k8s.io/queue-name": "q"}, False, {"suspend": True}),
        ({"kueue.x-k8s.io/priority-class": "p"}, True, {"managedBy": "weft.dev/operator"}),
    ],
)
def test_who_carries_the_job_out(labels: dict[str, str], managed: bool, spec: dict[str, Any]) -> None:
    job = render({"image": "a", "labels": labels}, managed=managed)
    assert {key: job["spec"][key] for key in ("managedBy", "suspend") if key in job["spec"]} == spec
    assert labels.items() <= job["metadata"]["labels"].items()
    assert not labels.keys() & job["spec"]["template"]["metadata"]["labels"].keys()


def test_an_overlay_adds_to_the_pod_and_weft_keeps_its_labels() -> None:
    overlay = {
        "metadata": {"labels": {"team": None, "tier": "batch"}},
        "spec": {
            "priorityClassName": "low",
            "containers": [
                {"name": "proxy", "image": "p"},
                {"name": "main", "workingDir": "/work", "securityContext": {"capabilities": {"drop": ["ALL"]}}},
            ],
        },
    }
    job = render({"image": "a", "labels": {"team": "x"}, "podTemplate": overlay})
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert "team" not in labels
    assert labels["tier"] == "batch"
    assert labels["weft.dev/node"] == "publish.upload"
    assert job["metadata"]["labels"]["team"] == "x"
    assert pod(job)["priorityClassName"] == "low"
    assert [container["name"] for container in pod(job)["containers"]] == ["main", "proxy"]
    assert main(job)["workingDir"] == "/work"
    assert main(job)["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_an_overlay_wins_over_rendered_values() -> None:
    overlay = {
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "b",
                    "args": ["z"],
                    "env": [{"name": "A", "value": "over"}, {"name": "B", "$patch": "delete"}],
                }
            ]
        }
    }
    variables = [{"name": name, "value": "${{ params.x }}"} for name in ("A", "B", "C")]
    payload = {"image": "r", "args": ["r"], "env": [{"name": name, "value": "r"} for name in ("A", "B", "C")]}
    job = render({"image": "a", "args": ["a"], "env": variables, "podTemplate": overlay}, payload)
    assert (main(job)["image"], main(job)["args"]) == ("b", ["z"])
    assert {name: value for name, value in env(job).items() if len(name) == 1} == {"A": "over", "C": "r"}
