"""The validating webhook on the cluster: what it refuses, and that its certificate changes while it goes on."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.harness.api import Obj, Refused
from e2e.harness.operator import NAMESPACE, PODS, Operator
from e2e.harness.place import Cluster, Place, refused
from e2e.harness.stage import node, spec
from support.certificates import Authority, Pair

SERVICE = f"weft-webhook.{NAMESPACE}.svc"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
BROKEN = spec([node("a", when="1 +")])
CYCLE = spec([node("a", after=["b"]), node("b", after=["a"])])


def webhook(**values: Any) -> Obj:
    return {"admission": {"webhook": {"enabled": True, "failurePolicy": "Fail", **values}}}


@pytest.fixture(scope="module")
def back(operator: Operator) -> Iterator[Operator]:
    """The operator, put back as it was."""
    yield operator
    operator.install()


def test_it_refuses_what_weft_validate_would(cluster: Cluster, back: Operator, place: Place) -> None:
    back.install(replicas=2, **webhook())
    for _ in range(6):  # both replicas answer, whichever leads
        told = refused(lambda: place.create("Workflow", "broken", BROKEN))
        assert "denied the request: spec.nodes[0].when: " in told
    assert "in a circle: a " in refused(lambda: place.create("Workflow", "cycle", CYCLE))
    inline = {"workflow": {**spec([node("a")]), "parameters": [{"name": "n", "type": "integer"}]}}
    assert "spec.parameters: " in refused(lambda: place.create_run({**inline, "parameters": {"n": "x"}}))
    assert "spec.job.image" in refused(lambda: place.create("NodeType", "t", {"job": {"image": "${{ nodes.a.x }}"}}))

    place.define("good", {**spec([node("a")]), "parameters": [{"name": "n", "type": "integer"}]})
    assert "spec.parameters: " in refused(lambda: place.create_run({"workflowRef": {"name": "good"}}))
    changed = refused(lambda: cluster.api.patch(place._path("workflows") + "/good", {"spec": CYCLE}))
    assert "denied the request" in changed
    patch = ["patch", "workflow", "good", "--type=merge", "-p", json.dumps({"spec": CYCLE})]
    told = place.kubectl(*patch, check=False)
    assert told.startswith('The Workflow "good" is invalid: spec.nodes[0].dependsOn: nodes wait for each other'), told
    place.kubectl("label", "workflow", "good", "a=b")
    place.create_run({"workflowRef": {"name": "good"}, "parameters": {"n": 3}}).finish()

    early = {"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "early"},
             "spec": {"nodes": [{"name": "a", "use": {"name": "later"}}]}}  # fmt: skip
    assert "Warning: no run can start before there are these NodeTypes: later" in place.apply(early)
    early["spec"] = {"nodes": [{"name": "a", "job": {"command": ["true"]}}]}
    assert "Warning: spec.nodes[0].job: node a has no image" in place.apply(early)


def test_the_chart_keeps_the_certificate_it_made(cluster: Cluster, back: Operator, place: Place) -> None:
    back.install(**webhook())
    before = cluster.api.get(f"{SECRETS}/weft-webhook")["data"]
    back.install(**webhook(timeoutSeconds=7))
    assert cluster.api.get(f"{SECRETS}/weft-webhook")["data"] == before
    assert "denied the request" in refused(lambda: place.create("Workflow", "broken", BROKEN))


def test_while_nobody_answers_the_failure_policy_decides(cluster: Cluster, back: Operator, place: Place) -> None:
    configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/weft"
    back.install(**webhook())
    cluster.kubectl("scale", "-n", NAMESPACE, "deployment/weft", "--replicas=0")
    gone = ["--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", "--timeout=90s"]
    cluster.kubectl("wait", "-n", NAMESPACE, *gone)
    try:
        assert "failed calling webhook" in refused(lambda: place.create("Workflow", "one", spec([node("a")])))
        found = cluster.api.get(configuration)["webhooks"]
        found[0]["failurePolicy"] = "Ignore"
        cluster.api.patch(configuration, {"webhooks": found})
        place.wait_for(lambda: accepted(place, "two", BROKEN), "it is not ignored", 30)
    finally:
        cluster.kubectl("scale", "-n", NAMESPACE, "deployment/weft", "--replicas=1")
        back.wait_ready()
    assert place.ready("two")["status"] == "False"  # checked all the same


def accepted(place: Place, name: str, body: Obj) -> bool:
    try:
        place.create("Workflow", name, body)
    except Refused:
        return False
    return True


def test_a_certificate_and_its_authority_change_without_a_restart(
    cluster: Cluster, back: Operator, place: Place, tmp_path: Path
) -> None:
    old, new = Authority(tmp_path / "old", "old"), Authority(tmp_path / "new", "new")
    first, second = old.server(SERVICE), new.server(SERVICE)
    cluster.api.delete(f"{SECRETS}/own")
    cluster.api.post(SECRETS, {"metadata": {"name": "own"}, "type": "kubernetes.io/tls", "data": data(first)})

    def installed(*authorities: Authority) -> Obj:
        bundle = "".join(authority.certificate for authority in authorities)
        return webhook(certificate={"source": "Secret", "secretName": "own", "caBundle": bundle})

    back.install(replicas=2, **installed(old))
    back.install(replicas=2, **installed(old, new))
    before = processes(back)
    assert len(before) == 2
    assert "denied the request" in refused(lambda: place.create("Workflow", "broken", BROKEN))

    cluster.api.patch(f"{SECRETS}/own", {"data": data(second)})
    for pod in back.pods():  # makes the kubelet look at once instead of within a minute or so
        cluster.api.patch(f"{PODS}/{pod['metadata']['name']}", {"metadata": {"annotations": {"look": "now"}}})
    shown = hashlib.sha256(second.certificate.encode()).hexdigest()[:16]
    until, asked = time.monotonic() + 150, 0
    while back.logs().count(f"shows the certificate {shown}") < 2:
        assert time.monotonic() < until, back.logs()
        assert "spec.nodes[0].when: " in refused(lambda: place.create("Workflow", "broken", BROKEN))
        asked += 1
    assert asked

    back.install(replicas=2, **installed(new))  # the old authority counts no more: only the new certificate can pass
    for _ in range(6):
        assert "spec.nodes[0].when: " in refused(lambda: place.create("Workflow", "broken", BROKEN))
    place.define("good", spec([node("a")]))
    assert processes(back) == before


def data(pair: Pair) -> dict[str, str]:
    files = {"tls.crt": pair.certificate, "tls.key": pair.key}
    return {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}


def processes(operator: Operator) -> set[tuple[str, int]]:
    """The operator's Pods, and how often each was restarted."""
    return {(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in operator.pods()}


@pytest.mark.parametrize("issuer", [{}, {"name": "company", "kind": "ClusterIssuer"}])
def test_the_chart_asks_cert_manager(issuer: Obj, back: Operator) -> None:
    """cert-manager is not on the cluster of the tests; what is asked of it can be read."""
    values = webhook(certificate={"source": "CertManager", "issuerRef": issuer}) | {"namespaces": ["shop"]}
    made = {each["kind"]: each for each in yaml.safe_load_all(back.rendered(values)) if each}
    assert made["Certificate"]["spec"]["issuerRef"] == (issuer or {"name": "weft-webhook", "kind": "Issuer"})
    assert SERVICE in made["Certificate"]["spec"]["dnsNames"]
    assert ("Issuer" in made) is not bool(issuer)
    configuration = made["ValidatingWebhookConfiguration"]
    assert configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] == f"{NAMESPACE}/weft-webhook"
    (hook,) = configuration["webhooks"]
    assert "caBundle" not in hook["clientConfig"]
    assert hook["namespaceSelector"]["matchExpressions"][0]["values"] == ["shop"]
    (volume,) = made["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == made["Certificate"]["spec"]["secretName"]
