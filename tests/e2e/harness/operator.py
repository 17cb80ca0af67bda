"""The operator under test: installed as users install it, and killed as machines kill it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from e2e.harness.api import Obj, Refused
from e2e.harness.place import Cluster
from urllib3.exceptions import HTTPError

CHART = Path(__file__).parents[3] / "charts" / "weft"
CRDS = Path(__file__).parents[3] / "crds"
NAMESPACE = "weft-system"
RELEASE = "weft"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{RELEASE}"
SELECTOR = "app.kubernetes.io/component=operator"
READY_SECONDS = 90.0

T = TypeVar("T")


@dataclass
class Operator:
    """The release `weft` in the namespace `weft-system`; `values` are those it was installed with last."""

    cluster: Cluster
    helm: str
    image: str
    values: dict[str, Any] | None = None

    def install(self, **values: Any) -> None:
        """Install the chart with these values, or upgrade to them, and wait until the operator leads."""
        if values == self.values:
            return
        repository, _, tag = self.image.rpartition(":")
        given = {
            "image": {"repository": repository, "tag": tag},
            "replicas": 1,
            "resourceNodes": {"enabled": True},
            **values,
        }
        if "workflows.weft.dev" in self.cluster.kubectl("get", "crds", "-o", "name"):
            # helm installs CRDs, and never upgrades them.
            self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
        words = ["upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"]
        words += ["--force-conflicts"]  # what a test has edited is the chart's again
        self._helm(*words, "--values", "-", "--wait", "--timeout", f"{READY_SECONDS:.0f}s", document=json.dumps(given))
        self.values = values
        _wait(lambda: len(self.pods()) == given["replicas"], "old Pods of the operator stay")
        self.wait_ready()

    def uninstall(self) -> None:
        """Take the release away, and wait until nothing of it is left."""
        self._helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "90s")
        self.values = None
        _wait(lambda: not self.pods(), "Pods of the operator stay")

    def rendered(self, values: dict[str, Any]) -> str:
        """What the chart makes of these values, as YAML; nothing is installed."""
        words = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-"]
        return self._helm(*words, document=json.dumps(values))

    def pods(self) -> list[Obj]:
        """The operator's Pods."""
        found: list[Obj] = self.cluster.api.get(PODS, labelSelector=SELECTOR)["items"]
        return found

    def leader(self) -> str | None:
        """The name of the Pod that leads, None when none does."""
        return next((name for name, told in self._told() if told["leading"]), None)

    def shards(self) -> dict[str, list[int]]:
        """Which Pod works on which shards, by their own account; a Pod that does not answer is left out."""
        return {name: told["shards"] for name, told in self._told()}

    def _told(self) -> Iterator[tuple[str, Obj]]:
        """What each Pod that answers tells of itself."""
        for pod in self.pods():
            name = str(pod["metadata"]["name"])
            try:
                yield name, json.loads(self.cluster.api.text(f"{PODS}/{name}:8080/proxy/readyz", seconds=5))
            except (Refused, HTTPError, ValueError):
                continue

    def wait_ready(self) -> str:
        """Wait until a Pod leads; gives its name."""
        return str(_wait(self.leader, "no operator leads"))

    def pod(self, name: str) -> Obj:
        """One of the operator's Pods, by name; {} when it has gone."""
        return next((pod for pod in self.pods() if pod["metadata"]["name"] == name), {})

    def restarts(self) -> int:
        """How often the kubelet has started the operator's containers again, in the Pods there are."""
        return sum(_restarts(pod) for pod in self.pods())

    def lease(self, suffix: str = "") -> Obj:
        """The spec of the Lease: who leads, and since when; with `-shard-3`, of that shard's."""
        spec: Obj = self.cluster.api.get(f"{LEASE}{suffix}")["spec"]
        return spec

    def renew_pods(self) -> None:
        """Replace Pods whose container has ended before: the kubelet waits ever longer with those that end often."""
        worn = [pod["metadata"]["name"] for pod in self.pods() if _restarts(pod)]
        for name in worn:
            self.cluster.api.delete(f"{PODS}/{name}")
        _wait(lambda: not any(self.pod(name) for name in worn), "worn Pods of the operator stay")
        _wait(lambda: all(_is_ready(pod) for pod in self.pods()), "the operator's new Pods are not ready")
        self.wait_ready()

    def wait_for(self, look: Callable[[], T | None], complaint: str) -> T:
        """Wait until `look` gives something true, asking again and again."""
        return _wait(look, complaint)

    def metrics(self) -> str:
        """What the leader's /metrics says."""
        return self.cluster.api.text(f"{PODS}/{self.wait_ready()}:8080/proxy/metrics")

    def logs(self) -> str:
        """The logs of all Pods."""
        return self.cluster.kubectl("logs", "-n", NAMESPACE, "-l", SELECTOR, "--tail=-1", "--prefix", check=False)

    def kill(self, pod: str | None = None) -> None:
        """SIGKILL the operator (the one in `pod`, or every one), and let it be started again at once.

        The kubelet would wait ever longer before it restarts a container that ends often, so the Pod is taken away,
        too. A dead leader's lease would have to run out; it is taken away where there is nobody to take it over.
        """
        reaper = Reaper(self.cluster)
        reaper.ensure()
        for each in self.pods():
            if pod in (None, each["metadata"]["name"]):
                reaper.signal(each["metadata"]["uid"], "KILL")
                self.cluster.api.delete(f"{PODS}/{each['metadata']['name']}", gracePeriodSeconds="0")
        if pod is None:
            self.cluster.api.delete(LEASE)

    def _helm(self, *words: str, document: str | None = None) -> str:
        done = subprocess.run(
            [self.helm, *words],
            input=document,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"helm {words[0]}: {done.stdout}\n{self.logs()}"
        return done.stdout


@dataclass
class Reaper:
    """A Pod that sees the processes of its cluster node and may kill them, whatever the cluster is made of."""

    cluster: Cluster

    def ensure(self) -> None:
        """Have the Pod run."""
        container = {
            "name": "reaper", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "86400"],
            "securityContext": {"privileged": True},
        }  # fmt: skip
        spec = {"hostPID": True, "terminationGracePeriodSeconds": 0, "containers": [container]}
        try:
            self.cluster.api.post(PODS, {"metadata": {"name": "reaper"}, "spec": spec})
        except Refused as refused:
            if refused.code != 409:
                raise
        self.cluster.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s", "pod/reaper")

    def remove(self) -> None:
        """Take the Pod away."""
        self.cluster.api.delete(f"{PODS}/reaper", gracePeriodSeconds="0")

    def signal(self, pod_uid: str, name: str) -> None:
        """Send the operator's process in a Pod a signal. Its control group bears the Pod's UID, with - or with _."""
        script = (
            f"for file in $(grep -lE '{pod_uid}|{pod_uid.replace('-', '_')}' /proc/[0-9]*/cgroup 2>/dev/null); do "
            "pid=${file#/proc/}; pid=${pid%/cgroup}; "
            f"grep -qa weft /proc/$pid/cmdline && kill -{name} $pid && echo $pid; done"
        )
        said = self.cluster.kubectl("exec", "-n", NAMESPACE, "reaper", "--", "sh", "-c", script, check=False)
        assert any(line.isdigit() for line in said.splitlines()), f"no process of the operator got {name}: {said}"


def _restarts(pod: Obj) -> int:
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses") or ())


def _is_ready(pod: Obj) -> bool:
    found = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in found)


def _wait(look: Callable[[], T | None], complaint: str) -> T:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(complaint)
