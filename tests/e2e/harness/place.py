"""A namespace of a test's own, and the runs in it: what a user would do with kubectl, and what a user would see."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from e2e.harness.api import Api, Obj, Refused
from e2e.harness.chronicle import PREFIX, Chronicle

if TYPE_CHECKING:
    from e2e.harness.receiver import Receiver

T = TypeVar("T")

PATIENCE = 150.0
"""Seconds a run may take: far more than any needs, for a busy machine, and few enough to end a hopeless test."""

WEFT = "weft.dev/v1alpha1"


@dataclass
class Cluster:
    """The cluster under test, and the programs that tests call."""

    api: Api
    chronicle: Chronicle
    kubectl_path: str
    receiver: Receiver = field(init=False)  # set by the fixture of that name

    def kubectl(self, *words: str, document: str | None = None, check: bool = True) -> str:
        """Call kubectl; gives what it says on both channels. AssertionError when it fails, unless `check` is off."""
        command = [self.kubectl_path, *words]
        done = subprocess.run(
            command, input=document, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180
        )
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stdout}"
        return done.stdout

    def namespace(self, word: str) -> Place:
        """Make a namespace with a name of its own."""
        name = f"{PREFIX}{word}-{secrets.token_hex(3)}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": {"weft-e2e": "true"}}})
        return Place(self, name)


class Place:
    """One namespace."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def apply(self, document: str | Obj) -> str:
        """kubectl apply; gives what it says."""
        text = document if isinstance(document, str) else json.dumps(document)
        return self.kubectl("apply", "-f", "-", document=text)

    def kubectl(self, *words: str, document: str | None = None, check: bool = True) -> str:
        """kubectl in this namespace."""
        return self.cluster.kubectl("-n", self.name, *words, document=document, check=check)

    def create(self, kind: str, name: str, spec: Obj | str) -> Obj:
        """Create one of Weft's resources, its spec as an object or as YAML."""
        body = {"apiVersion": WEFT, "kind": kind, "metadata": {"name": name}, "spec": _spec(spec)}
        return self.cluster.api.post(self._path(f"{kind.lower()}s"), body)

    def define(self, name: str, spec: Obj | str) -> None:
        """Create a Workflow and wait until it is Ready."""
        self.create("Workflow", name, spec)
        assert self.ready(name)["status"] == "True", self.ready(name)

    def ready(self, workflow: str) -> Obj:
        """The Ready condition of a Workflow, waited for."""

        def look() -> Obj | None:
            return _condition(self.cluster.chronicle.latest("Workflow", self.name, workflow), "Ready")

        return self.wait(look, f"Workflow {workflow} has no Ready condition")

    def start(self, workflow: str, spec: Obj | str | None = None, **controls: Any) -> Run:
        """Start a run; with `spec`, of a Workflow that is created first. Controls: parameters, queue, suspend, ..."""
        if spec is not None:
            self.create("Workflow", workflow, spec)
        return self.create_run({"workflowRef": {"name": workflow}, **controls}, f"{workflow}-")

    def create_run(self, spec: Obj, prefix: str = "run-") -> Run:
        """Create a WorkflowRun with a generated name."""
        body = {"apiVersion": WEFT, "kind": "WorkflowRun", "metadata": {"generateName": prefix}, "spec": spec}
        made = self.cluster.api.post(self._path("workflowruns"), body)
        run = Run(self, made["metadata"]["name"], made["metadata"]["uid"])
        self.wait(lambda: run.obj, f"the watch does not tell of {run.name}")
        return run

    def find_run(self, name: str) -> Run:
        """A run by name, waited for."""
        found = self.wait(lambda: self.cluster.chronicle.latest("Run", self.name, name), f"no run {name}")
        return Run(self, name, found["metadata"]["uid"])

    def child_runs(self, of: Run) -> list[Run]:
        """The runs that another run has started."""
        found = self.cluster.chronicle.ever("Run", self.name)
        owned = [o for o in found if any(r["uid"] == of.uid for r in o["metadata"].get("ownerReferences", ()))]
        return [Run(self, o["metadata"]["name"], o["metadata"]["uid"]) for o in owned]

    def wait(self, look: Callable[[], T | None], complaint: str, seconds: float = PATIENCE) -> T:
        """Wait until `look` gives something true."""
        return self.cluster.chronicle.wait(look, seconds=seconds, complain=lambda: complaint)

    def wait_for(self, look: Callable[[], T | None], complaint: str, seconds: float = PATIENCE) -> T:
        """Wait until `look` gives something true of what no watch tells, asking every half second."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := look():
                return found
            time.sleep(0.5)
        raise AssertionError(f"not within {seconds:.0f} s: {complaint}")

    def gone(self, kind: str, name: str) -> bool:
        """Whether there is no such Run, Job or Pod (any more)."""
        return self.cluster.chronicle.latest(kind, self.name, name) is None

    def delete(self) -> None:
        """Delete the namespace, without waiting."""
        self.cluster.api.delete(f"/api/v1/namespaces/{self.name}")

    def _path(self, plural: str) -> str:
        return f"/apis/{WEFT}/namespaces/{self.name}/{plural}"


class Run:
    """One WorkflowRun: its controls, and what can be seen of it."""

    def __init__(self, place: Place, name: str, uid: str) -> None:
        self.place = place
        self.name = name
        self.uid = uid
        self._api = place.cluster.api
        self._chronicle = place.cluster.chronicle
        self.path = f"/apis/{WEFT}/namespaces/{place.name}/workflowruns/{name}"

    # --- what a user does ---

    def edit(self, **spec: Any) -> None:
        """Change the run's spec: suspend, stop, rerun, priority."""
        self._api.patch(self.path, {"spec": spec})

    def rerun(self, *, from_: str = "Failed", **rest: Any) -> None:
        """Ask for the next rerun, clearing `stop` as one must."""
        generation = (self.obj["spec"].get("rerun") or {}).get("generation", 0) + 1
        self.edit(rerun={"generation": generation, "from": from_, **rest}, stop=None)

    def delete(self) -> None:
        """Delete the run."""
        self._api.delete(self.path, propagationPolicy="Background")

    def decide(
        self, node: str, decision: str, *, by: str, user: str | None = None, groups: tuple[str, ...] = ()
    ) -> Obj:
        """Create an Approval as `by` (or, to forge one, as another `user`), a member of `groups`."""
        spec: Obj = {"run": {"name": self.name, "uid": self.uid}, "node": node, "decision": decision, "by": by}
        if groups:
            spec["groups"] = list(groups)
        rerun = (self.obj["spec"].get("rerun") or {}).get("generation", 0)
        if rerun:
            spec["rerunGeneration"] = rerun
        body = {"apiVersion": WEFT, "kind": "Approval", "metadata": {"generateName": f"{self.name}-"}, "spec": spec}
        members = ("system:authenticated", *groups)
        path = f"/apis/{WEFT}/namespaces/{self.place.name}/approvals"
        return self._api.post(path, body, as_user=user or by, groups=members)

    # --- what a user sees ---

    @property
    def obj(self) -> Obj:
        """The run as last seen, even when it has gone since; {} when it was never seen."""
        return self._chronicle.seen("Run", self.place.name, self.uid)

    @property
    def status(self) -> Obj:
        """Its status as last seen."""
        status: Obj = self.obj.get("status") or {}
        return status

    @property
    def phase(self) -> str:
        """Its phase."""
        return str(self.status.get("phase", ""))

    @property
    def outputs(self) -> Obj:
        """Its outputs."""
        return self.status.get("outputs") or {}

    def condition(self, kind: str) -> Obj:
        """One of its conditions, {} when it is not there."""
        return _condition(self.obj, kind) or {}

    def node(self, path: str) -> Obj:
        """A node's entry in status.nodes, {} when there is none."""
        return next((node for node in self.status.get("nodes") or () if node["name"] == path), {})

    def phases(self) -> dict[str, str]:
        """The phases of all nodes by name."""
        return {node["name"]: node.get("phase", "") for node in self.status.get("nodes") or ()}

    def jobs(self, node: str | None = None) -> list[Obj]:
        """Every Job the run ever had (of a node), in the order of their creation."""
        return self._children("Job", node)

    def pods(self, node: str | None = None) -> list[Obj]:
        """Every Pod the run ever had (of a node), in the order of their creation, as last seen."""
        return self._children("Pod", node)

    def log(self, node: str) -> str:
        """The log of the latest Pod of a node."""
        return self.place.kubectl("logs", self.pods(node)[-1]["metadata"]["name"])

    def events(self) -> list[Obj]:
        """The events about the run."""
        found = self._chronicle.ever("Event", self.place.name)
        return [event for event in found if event.get("regarding", {}).get("uid") == self.uid]

    def most_pods_at_once(self) -> int:
        """The largest number of the run's Pods that were there and had not ended at one moment."""
        alive: set[str] = set()
        most = 0
        for entry in self._chronicle.journal("Pod", self.place.name):
            if entry.obj["metadata"]["labels"].get("weft.dev/run") != self.name:
                continue
            ended = entry.obj.get("status", {}).get("phase") in ("Succeeded", "Failed")
            (alive.discard if ended or entry.type == "DELETED" else alive.add)(entry.obj["metadata"]["uid"])
            most = max(most, len(alive))
        return most

    # --- waiting ---

    def until(self, look: Callable[[Run], T | None], what: str, seconds: float = PATIENCE) -> T:
        """Wait until `look` gives something true of the run."""
        return self._chronicle.wait(
            lambda: look(self), seconds=seconds, complain=lambda: f"{self.name}: {what}\n{self.describe()}"
        )

    def finish(self, phase: str = "Succeeded", seconds: float = PATIENCE) -> Run:
        """Wait until the run has finished, and see that it ended as it should."""
        self.until(lambda run: run.condition("Finished").get("status") == "True", "it has not finished", seconds)
        assert self.phase == phase, self.describe()
        return self

    def reaches(self, node: str, phase: str, reason: str | None = None) -> Obj:
        """Wait until a node is in a phase (for a reason); gives its entry."""

        def look(run: Run) -> Obj | None:
            found = run.node(node)
            fits = found.get("phase") == phase and (reason is None or found.get("reason") == reason)
            return found if fits else None

        return self.until(look, f"node {node} is not {phase} {reason or ''}")

    def running_pod(self, node: str) -> Obj:
        """Wait until a Pod of the node runs; gives it."""

        def look(run: Run) -> Obj | None:
            return next((pod for pod in run.pods(node) if pod.get("status", {}).get("phase") == "Running"), None)

        return self.until(look, f"no Pod of {node} runs")

    def describe(self) -> str:
        """All there is to know of the run, for a failed assertion."""
        lines = [f"phase {self.phase}: {self.condition('Succeeded').get('reason')}: "]
        lines[0] += str(self.condition("Succeeded").get("message"))
        for node in self.status.get("nodes") or ():
            shown = {key: value for key, value in node.items() if key not in ("name", "state")}
            lines.append(f"  {node['name']}: {json.dumps(shown)}")
        lines += [f"  Job {_short(job)}" for job in self.jobs()]
        lines += [f"  Pod {_short(pod)}: {_story(pod)}" for pod in self.pods()]
        lines += [f"  event {event.get('reason')}: {event.get('note')}" for event in self.events()]
        return "\n".join(lines)

    def _children(self, kind: str, node: str | None) -> list[Obj]:
        found = self._chronicle.ever(kind, self.place.name)
        return [
            obj
            for obj in found
            if obj["metadata"]["labels"].get("weft.dev/run") == self.name
            and (node is None or obj["metadata"]["labels"].get("weft.dev/node") == node.replace("/", "."))
        ]


def refused(call: Callable[[], object]) -> str:
    """What the API server says when it refuses a call; AssertionError when it does not."""
    try:
        call()
    except Refused as refusal:
        return str(refusal)
    raise AssertionError("the API server has accepted it")


def no_attempt_twice(run: Run) -> None:
    """Hold a run to the first invariant: at most one Job per (node, index, iteration, role, attempt), ever."""
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    for job in run.jobs():
        notes = job["metadata"]["annotations"]
        key = tuple(sorted((name, text) for name, text in notes.items() if name.startswith("weft.dev/")))
        other = seen.setdefault(key, job["metadata"]["uid"])
        assert other == job["metadata"]["uid"], f"two Jobs for {key}\n{run.describe()}"
    for job in run.jobs():
        owned = [pod for pod in run.pods() if pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]]
        assert len(owned) <= 1, f"two Pods of Job {_short(job)}\n{run.describe()}"


def _spec(spec: Obj | str) -> Obj:
    loaded: Obj = yaml.safe_load(spec) if isinstance(spec, str) else spec
    return loaded


def _condition(obj: Obj | None, kind: str) -> Obj | None:
    found = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((condition for condition in found if condition["type"] == kind), None)


def _story(pod: Obj) -> str:
    """What a Pod's end tells, in one line."""
    status = pod.get("status") or {}
    told = {
        key: pod["metadata"][key]
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds")
        if key in pod["metadata"]
    }
    told |= {key: status[key] for key in ("phase", "reason", "message") if key in status}
    for container in status.get("containerStatuses") or ():
        told |= container.get("state") or {}
    return json.dumps(told)


def _short(obj: Obj) -> str:
    return str(obj["metadata"]["name"])
