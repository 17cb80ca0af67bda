"""Fields that no Pod has: the API server drops them without a word, so they are noted where they stand."""

from typing import Any

import pytest
from support.specs import node
from weft.graph.idle import SHOWN
from weft.graph.notes import notes_on
from weft.graph.podschema import KUBERNETES

DROPPED = f"Pods have no such field as of Kubernetes {KUBERNETES}, and the API server drops what it does not know"
TYPO = {"spec": {"nodeSelecter": {"disk": "fast"}}}
MEANT = 'podTemplate.spec.nodeSelecter: did you mean "nodeSelector"?'


def noted(kind: str = "Workflow", **spec: Any) -> list[str]:
    """The notes on a manifest, `path: hint`: what they all say is left out."""
    manifest = {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": "w"}, "spec": spec}
    notes = notes_on(manifest, {})
    assert all(note.message.startswith(DROPPED) for note in notes), notes
    return [f"{note.path}: {note.message.removeprefix(DROPPED).removeprefix('; ')}" for note in notes]


def of_job(job: dict[str, Any]) -> list[str]:
    return noted(nodes=[node("a", job={"image": "busybox:1", **job})])


def pod(**spec: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": spec}}


def main(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "main", **fields}])


@pytest.mark.parametrize(
    ("job", "told"),
    [
        pytest.param({"podTemplate": TYPO}, MEANT, id="of the Pod"),
        pytest.param(pod(NodeSelector={}), 'podTemplate.spec.NodeSelector: did you mean "nodeSelector"?', id="case"),
        pytest.param(pod(qwzx=1), "podTemplate.spec.qwzx: ", id="close to none"),
        pytest.param(pod(**{"a b": 1}), 'podTemplate.spec["a b"]: ', id="no word at all"),
        pytest.param(pod(nodeSelecter=None), MEANT, id="deletes nothing"),
        pytest.param(
            main(readinesProbe={"exec": {"command": ["true"]}}),
            'podTemplate.spec.containers[0].readinesProbe: did you mean "readinessProbe"?',
            id="of a container",
        ),
        pytest.param(
            main(securityContext={"run_as_user": 1}),
            'podTemplate.spec.containers[0].securityContext.run_as_user: did you mean "runAsUser"?',
            id="as Python has it",
        ),
        pytest.param(
            main(startupProbe={"httpGet": {"prt": "${{ params.port }}"}}),
            'podTemplate.spec.containers[0].startupProbe.httpGet.prt: did you mean "port"?',
            id="deep",
        ),
        pytest.param(
            pod(securityContext={"allowPrivilegeEscalation": False}),
            "podTemplate.spec.securityContext.allowPrivilegeEscalation: ",
            id="a container's field of the Pod",
        ),
        pytest.param(
            pod(affinity={"nodeAffinity": {"preferredDuringScheduling": []}}),
            "podTemplate.spec.affinity.nodeAffinity.preferredDuringScheduling: did you mean"
            ' "preferredDuringSchedulingIgnoredDuringExecution"?',
            id="affinity",
        ),
        pytest.param(
            pod(volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClas": "fast"}}}}]),
            "podTemplate.spec.volumes[0].ephemeral.volumeClaimTemplate.spec.storageClas: did you mean"
            ' "storageClassName"?',
            id="a claim in a volume",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configmap": {"name": "c"}}]},
            'volumes[1].configmap: did you mean "configMap"?',
            id="volumes",
        ),
        pytest.param(
            {
                "volumes": [{"name": "v", "emptyDir": {}}],
                "volumeMounts": [{"name": "v", "mountPath": "/", "subpth": 1}],
            },
            'volumeMounts[0].subpth: did you mean "subPath"?',
            id="volumeMounts",
        ),
        pytest.param(
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"nam": "s"}}}]},
            'env[1].valueFrom.secretKeyRef.nam: did you mean "name"?',
            id="env",
        ),
        pytest.param(
            {"envFrom": [{"configMapReff": {"name": "c"}}]},
            'envFrom[0].configMapReff: did you mean "configMapRef"?',
            id="envFrom",
        ),
        pytest.param(
            {"tolerations": [{"key": "gpu", "opertor": "Exists"}]},
            'tolerations[0].opertor: did you mean "operator"?',
            id="tolerations",
        ),
    ],
)
def test_a_field_that_pods_do_not_have_is_noted(job: dict[str, Any], told: str) -> None:
    assert of_job(job) == [f"spec.nodes[0].job.{told}"]


@pytest.mark.parametrize(
    "job",
    [
        pytest.param({}, id="nothing open"),
        pytest.param({"podTemplate": {"metadata": {"labels": {"any": "x"}, "annotations": {"a/b": "x"}}}}, id="labels"),
        pytest.param(pod(nodeSelector={"any": "x", "other.example/key": "y"}), id="names of one's own"),
        pytest.param(pod(overhead={"cpu": "1"}), id="quantities"),
        pytest.param(main(resources={"limits": {"example.com/gpu": 1}, "claims": [{"name": "g"}]}), id="resources"),
        pytest.param(main(livenessProbe={"httpGet": {"port": "web"}, "grpc": {"port": 1}}), id="int or string"),
        pytest.param(pod(initContainers=[{"name": "p", "image": "p:1", "restartPolicy": "Always"}]), id="sidecar"),
        pytest.param(pod(containers=[{"name": "log", "$patch": "delete"}]), id="directive"),
        pytest.param(pod(securityContext={"runAsUser": None}, hostIPC=True, setHostnameAsFQDN=True), id="capitals"),
        pytest.param(pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["${{ params.host }}"]}]), id="templates"),
        pytest.param(
            pod(volumes=[{"name": "c", "csi": {"driver": "d", "volumeAttributes": {"any": "x"}}}]), id="attributes"
        ),
        pytest.param(pod(affinity="${{ params.affinity }}", tolerations=None), id="no object where one belongs"),
    ],
)
def test_what_pods_have_is_not_noted(job: dict[str, Any]) -> None:
    assert of_job(job) == []


def test_jobs_are_looked_at_wherever_they_stand() -> None:
    job = {"job": {"image": "i", "podTemplate": TYPO}}
    expr = {"expr": {"x": "1"}}
    spec = {
        "defaults": {"podTemplate": TYPO},
        "nodes": [node("a", **expr, compensate=job), node("b", graph={"name": "g"})],
        "finally": [node("c", **job)],
        "graphs": [{"name": "g", "nodes": [node("d", **job)]}],
    }
    places = ["defaults", "nodes[0].compensate.job", "finally[0].job", "graphs[0].nodes[0].job"]
    assert noted(**spec) == [f"spec.{place}.{MEANT}" for place in places]
    assert noted("WorkflowRun", workflow=spec) == [f"spec.workflow.{place}.{MEANT}" for place in places]
    assert noted("NodeType", **job) == [f"spec.job.{MEANT}"]
    assert noted("NodeType", **expr) == []


def test_of_very_many_the_first_are_told() -> None:
    nodes = [node(f"n{number}", job={"image": "i", "podTemplate": TYPO}) for number in range(50)]
    assert noted(nodes=nodes) == [f"spec.nodes[{number}].job.{MEANT}" for number in range(SHOWN)]
