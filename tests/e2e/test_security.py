"""Pod Security "restricted" for nodes and operator, and Secrets that are told nowhere."""

from __future__ import annotations

import json

import pytest
import yaml
from e2e.harness.operator import NAMESPACE, Operator
from e2e.harness.place import Cluster, Place
from e2e.harness.stage import node, spec

WORD = "correct-horse-battery"


@pytest.fixture
def strict(place: Place) -> Place:
    """A namespace that takes no Pod that is not restricted."""
    place.cluster.kubectl("label", "namespace", place.name, "pod-security.kubernetes.io/enforce=restricted")
    return place


def test_nodes_run_where_pods_must_be_restricted(operator: Operator, strict: Place) -> None:
    plain = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"},
             "spec": {"containers": [{"name": "main", "image": "busybox:1"}]}}  # fmt: skip
    assert "violates PodSecurity" in strict.kubectl("create", "-f", "-", document=json.dumps(plain), check=False)
    sidecar = {"name": "side", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "command": ["true"]}
    beside = node("beside", 'id -u > /scratch/me; echo "me=$(cat /scratch/me)" > "$WEFT_OUTPUTS"')
    beside["job"] |= {
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "podTemplate": {"spec": {"containers": [sidecar]}},
    }
    chosen = node("chosen", 'echo "me=$(id -u)" > "$WEFT_OUTPUTS"')
    chosen["job"]["podTemplate"] = {"spec": {"securityContext": {"runAsUser": 1000}}}
    each = node("each", forEach={"range": 3})
    root = node("root", "true", allowFailure=True)
    root["job"]["podTemplate"] = {"spec": {"securityContext": {"runAsNonRoot": False}}}
    run = strict.start("restricted", spec([beside, chosen, each, root])).finish()
    assert run.node("beside")["outputs"] == {"me": "65532"}
    assert run.node("chosen")["outputs"] == {"me": "1000"}
    assert run.node("each")["phase"] == "Succeeded"
    assert (run.node("root")["phase"], run.node("root")["reason"]) == ("Failed", "Forbidden")
    assert "violates PodSecurity" in run.node("root")["message"]


def test_nodes_stay_root_where_nothing_is_demanded_unless_the_chart_says_so(operator: Operator, place: Place) -> None:
    who = spec([node("who", 'echo "me=$(id -u)" > "$WEFT_OUTPUTS"')])
    assert place.start("as-root", who).finish().node("who")["outputs"] == {"me": "0"}
    operator.install(podSecurity="restricted")
    try:
        assert place.start("as-nobody", who).finish().node("who")["outputs"] == {"me": "65532"}
    finally:
        operator.install()


def test_the_operator_is_restricted_itself(cluster: Cluster, operator: Operator, strict: Place) -> None:
    (pod,) = operator.pods()
    spec = {key: pod["spec"][key] for key in ("containers", "securityContext")}
    spec["containers"] = [{k: v for k, v in one.items() if k != "volumeMounts"} for one in spec["containers"]]
    copied = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "copy"}, "spec": spec}
    assert "created" in strict.kubectl("create", "--dry-run=server", "-f", "-", document=json.dumps(copied))
    name = pod["metadata"]["name"]
    script = "open('/written', 'w')"
    said = cluster.kubectl("exec", "-n", NAMESPACE, name, "--", "python3", "-c", script, check=False)
    assert "Read-only file system" in said


def test_a_secret_is_in_no_status_no_event_and_no_log(cluster: Cluster, operator: Operator, place: Place) -> None:
    text = {"url": f"http://127.0.0.1:9/{WORD}", "word": WORD}
    place.kubectl("create", "secret", "generic", "vault", *(f"--from-literal={key}={it}" for key, it in text.items()))
    webhook = {"urlFrom": {"secretKeyRef": {"name": "vault", "key": "url"}},
               "signingSecretRef": {"name": "vault", "key": "word"}}  # fmt: skip
    place.create("NotificationChannel", "bell", {"type": "Webhook", "webhook": webhook})
    no_signature = {"urlFrom": webhook["urlFrom"]}
    place.create("NotificationChannel", "horn", {"type": "Webhook", "webhook": no_signature})
    uses = node("uses", 'test -n "$WORD"; test "$WORD" = other')
    uses["job"]["env"] = [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "word"}}}]
    missing = node("missing", pendingTimeoutSeconds=3)
    missing["job"]["env"] = [{"name": "W", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "none"}}}]
    notifications = [{"channel": "bell"}, {"channel": "horn"}]
    run = place.start("secretive", spec([uses, missing], notifications=notifications)).finish("Failed")
    place.wait_for(lambda: operator.logs().count("notification of") >= 2, "no delivery has failed")
    failure = ("get", "notificationchannels", "-o", "jsonpath={.items[*].status.lastFailureTime}")
    place.wait_for(lambda: len(place.kubectl(*failure).split()) == 2, "the channels' status does not tell of it")
    told = place.kubectl("get", "weft,events,jobs,pods,configmaps,controllerrevisions", "-o", "json")
    assert run.name in told
    assert WORD not in told
    logs = operator.logs()
    assert "notification of" in logs
    assert WORD not in logs


RIGHTS = {"ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


@pytest.mark.parametrize(("account", "strips"), [("", False), ("mine", True)])
def test_who_gives_the_rights_himself_is_asked_for_none(operator: Operator, account: str, strips: bool) -> None:
    values = {"rbac": {"create": False, "aggregate": False}, "serviceAccount": {"create": False}}
    made = yaml.safe_load_all(operator.rendered({**values, "cleanup": {"serviceAccount": account}}))
    objects = [each for each in made if each]
    assert not RIGHTS & {each["kind"] for each in objects}
    jobs = [each for each in objects if each["kind"] == "Job"]
    assert [job["spec"]["template"]["spec"]["serviceAccountName"] for job in jobs] == ["mine"] * strips
