"""Pods that have to be restricted: they pass, unless their author says otherwise; the others are as ever."""

from collections.abc import Iterator
from typing import Any

import pytest
from weft.engine.state import AttemptId
from weft.render.job import JobTemplate
from weft.render.names import RunRef

RUN = RunRef(namespace="shop", name="r", uid="u", workflow="w")
BODY = {"image": "busybox:1", "script": "true"}


def pod(*, restricted: bool = True, **spec: Any) -> dict[str, Any]:
    body = {**BODY, "podTemplate": {"spec": spec}} if spec else BODY
    template = JobTemplate(body, restricted=restricted)
    job = template.render(RUN, AttemptId("a", None, None, "main", 1), {})
    made: dict[str, Any] = job["spec"]["template"]["spec"]
    return made


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """The checks of the Pod Security Standard "restricted" that a node's Pod can fail by its security contexts."""
    of_pod = pod.get("securityContext") or {}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        own = container.get("securityContext") or {}
        both = of_pod | own
        name = container["name"]
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation"
        if "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()):
            yield f"{name}: capabilities.drop"
        if set((own.get("capabilities") or {}).get("add") or ()) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities.add"
        if both.get("runAsNonRoot") is not True:
            yield f"{name}: runAsNonRoot"
        if both.get("runAsUser") == 0:
            yield f"{name}: runAsUser"
        if (both.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: seccompProfile"


def test_the_check_can_fail() -> None:
    assert list(violations(pod(restricted=False))) == ["main: capabilities.drop", "main: runAsNonRoot"]


SIDECAR = {"name": "proxy", "image": "proxy:1"}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"containers": [SIDECAR]},
        {"initContainers": [SIDECAR | {"name": "init"}], "containers": [{"name": "main", "workingDir": "/w"}]},
        {"securityContext": {"fsGroup": 1000, "runAsUser": 1000}},
        {"containers": [{"name": "main", "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}}]},
        {"containers": [SIDECAR | {"securityContext": {"runAsUser": 7, "readOnlyRootFilesystem": True}}]},
    ],
)
def test_a_restricted_pod_passes(spec: dict[str, Any]) -> None:
    assert list(violations(pod(**spec))) == []


def test_it_runs_as_nobody_who_owns_its_volumes() -> None:
    context = pod()["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (65532, 65532, 65532)


def test_the_author_has_the_last_word() -> None:
    main = {"name": "main", "securityContext": {"capabilities": {"drop": ["NET_RAW"]}}}
    made = pod(securityContext={"runAsUser": None, "runAsGroup": 0, "seccompProfile": None}, containers=[main])
    assert "runAsUser" not in made["securityContext"]
    assert made["securityContext"]["runAsGroup"] == 0
    assert made["securityContext"]["fsGroup"] == 65532
    assert list(violations(made)) == ["main: capabilities.drop", "main: seccompProfile"]
    proxy = pod(containers=[SIDECAR | {"securityContext": {"allowPrivilegeEscalation": True}}])["containers"][1]
    assert proxy["securityContext"] == {"allowPrivilegeEscalation": True, "capabilities": {"drop": ["ALL"]}}


def test_what_an_author_wrote_is_not_changed() -> None:
    containers = [{"name": "proxy", "image": "p", "securityContext": {"runAsUser": 7}}]
    pod(containers=containers)
    assert containers == [{"name": "proxy", "image": "p", "securityContext": {"runAsUser": 7}}]


def test_where_nothing_is_demanded_a_sidecar_is_left_alone() -> None:
    assert pod(restricted=False, containers=[SIDECAR])["containers"][1] == SIDECAR
