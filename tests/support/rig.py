"""The whole operator in one process, on the API server in memory and in virtual time.

    rig = Rig()
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    run = await rig.finish("w")                     # creates a run and lets time pass until it has ended
    rig.crash_after(7)                              # the operator dies at its seventh request from now
    await rig.revive()

A kubelet plays every Pod as `behave` says (a Fate by node and attempt; Succeeded after one second by default). The
namespace is `n`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import yaml
from support.asked import Asked
from support.clock import VirtualClock, settle
from support.fakeapi import FakeApi
from support.kubelet import Fate, Kubelet
from support.replica import Replica
from weft.api.objects import Obj, annotation
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS
from weft.metrics import Metrics
from weft.notify.guarded_http import RequestFailed
from weft.render.names import IDENTITY_ANNOTATION
from weft.settings import Settings

NAMESPACE = "n"


class Http:
    """Stands for GuardedHttp: `answers` by URL."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    async def request(self, method: str, url: str, **_: Any) -> Any:
        self.asked.append(f"{method} {url}")
        answer = self.answers.get(url)
        if answer is None:
            raise RequestFailed("ConnectionFailed", f"nobody answers at {url}")  # type: ignore[arg-type]
        return answer

    async def close(self) -> None:
        return None


class Rig:
    """One cluster, at most one operator at a time, one kubelet."""

    def __init__(self, *, seed: int = 0, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock, seed=seed)
        self.settings = Settings(lease_enabled=False, **settings)
        self.behave: Callable[[str, int], Fate] = lambda node, attempt: Fate()
        self.http = Http()
        self.metrics = Metrics()
        self.kubelet = Kubelet(self.api, self.clock, self._fate_of)
        self._seed = seed
        self._countdown: int | None = None
        self._late = False
        self.replica: Replica | None = None
        self.crashes = 0
        self.api.before.append(self._before)
        self.api.after.append(self._after)

    # --- what users do ---

    def apply(self, text: str) -> None:
        for manifest in yaml.safe_load_all(text):
            manifest["metadata"].setdefault("namespace", NAMESPACE)
            self.api.add(manifest)

    def workflow(self, name: str, spec: str | dict[str, Any]) -> None:
        body = yaml.safe_load(spec) if isinstance(spec, str) else spec
        metadata = {"name": name, "namespace": NAMESPACE}
        self.api.add({"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": body})

    def start(self, workflow: str, name: str = "r", **spec: Any) -> None:
        metadata = {"name": name, "namespace": NAMESPACE}
        body = {"workflowRef": {"name": workflow}, **spec}
        self.api.add({"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": body})

    def edit(self, name: str = "r", **spec: Any) -> None:
        self.api.edit(WORKFLOW_RUNS, NAMESPACE, name, lambda run: run["spec"].update(spec))

    def delete_job(self, job: Obj) -> None:
        """Somebody deletes a Job, and its Pods are let go of."""
        name = job["metadata"]["name"]
        self.api.remove(JOBS, NAMESPACE, name)
        for pod in self.api.all(PODS):
            if pod["metadata"]["name"].startswith(name):
                self.kubelet.let_go(pod)

    def tear_out(self, pod: Obj) -> None:
        """A Pod goes, although nobody has recorded its end."""
        self.kubelet.let_go(pod)
        self.api.remove(PODS, NAMESPACE, pod["metadata"]["name"])

    # --- what they see ---

    def run(self, name: str = "r") -> Obj:
        run = self.api.read(WORKFLOW_RUNS, NAMESPACE, name)
        assert run is not None, f"there is no run {name}"
        return run

    def phase(self, name: str = "r") -> str:
        return str((self.run(name).get("status") or {}).get("phase"))

    def nodes(self, name: str = "r") -> dict[str, str]:
        return {
            node["name"]: node["phase"] + (f"({node['reason']})" if node.get("reason") else "")
            for node in self.run(name)["status"]["nodes"]
        }

    def first_node(self, name: str = "r") -> Obj:
        """The first node's entry; empty as long as no status tells of any."""
        nodes: list[Obj] = (self.run(name).get("status") or {}).get("nodes") or [{}]
        return nodes[0]

    def jobs_made(self) -> Counter[str]:
        """How often a Job of each identity came to be, by the server's own log."""
        return Counter(
            annotation(event.obj, IDENTITY_ANNOTATION) or ""
            for event in self.api.history
            if event.resource is JOBS and event.type == "ADDED"
        )

    # --- the operator ---

    async def up(self) -> None:
        """Start an operator and wait until it leads."""
        self.replica = Replica(
            self.api, self.clock, name=f"op-{self.crashes}", settings=self.settings, http=self.http, seed=self._seed,
            metrics=self.metrics,
        )  # fmt: skip
        self.replica.start()
        for _ in range(200):
            await settle()
            if self.replica.leading or self.dead:
                return
            if self.replica.failure is not None:
                raise self.replica.failure
            await self.clock.advance(0.05)

    async def down(self) -> None:
        """Kill the operator: nothing of it runs on."""
        if self.replica is not None:
            await self.replica.bury()
            self.replica = None

    async def close(self) -> None:
        await self.down()
        await self.kubelet.close()

    @property
    def dead(self) -> bool:
        return self._countdown == 0

    def crash_after(self, requests: int, *, late: bool = False) -> None:
        """Let the operator die at its request of that number from now; `late`: once the server has carried it out."""
        self._countdown, self._late = requests, late

    async def revive(self) -> None:
        """Bring the operator back if it has died."""
        if self.dead:
            self.crashes += 1
            self._countdown = None
            await self.down()
            await self.up()

    async def wait(self, until: Callable[[], bool], *, seconds: float = 600, step: float = 0.25) -> None:
        """Let time pass until something holds; a dead operator is brought back after a second."""
        waited = 0.0
        while not until():
            assert waited < seconds, f"not within {seconds} s: {self.state()}"
            await self.clock.advance(step)
            waited += step
            if self.dead:
                await self.clock.advance(1.0)
                await self.revive()

    async def finish(self, workflow: str, name: str = "r", **spec: Any) -> Obj:
        """Start a run and wait until it has ended and its children are let go."""
        if self.replica is None:
            await self.up()
        self.start(workflow, name, **spec)
        await self.wait(lambda: self.ended(name))
        await self.clock.advance(5)
        await self.revive()
        await self.clock.advance(5)
        return self.run(name)

    def ended(self, name: str = "r") -> bool:
        return self.phase(name) in ("Succeeded", "Failed", "Cancelled")

    def state(self) -> str:
        runs = [f"{run['metadata']['name']}: {run.get('status')}" for run in self.api.all(WORKFLOW_RUNS)]
        pods = [f"{pod['metadata']['name']} {pod.get('status', {}).get('phase')}" for pod in self.api.all(PODS)]
        return f"{runs} {pods}"

    async def _before(self, asked: Asked) -> None:
        if not self._late:
            await self._count_down(asked)

    async def _after(self, asked: Asked) -> None:
        if self._late:
            await self._count_down(asked)

    async def _count_down(self, asked: Asked) -> None:
        if asked.method == "WATCH" or self._countdown is None or self.dead:
            return
        self._countdown -= 1
        if self.dead and self.replica is not None:
            self.replica.crash()
            await asyncio.Event().wait()  # the process is gone: nothing after this line happens

    def _fate_of(self, pod: Obj) -> Fate:
        env = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
        return self.behave(env["WEFT_NODE"], int(env["WEFT_ATTEMPT"]))


def most_at_once(rig: Rig) -> int:
    """How many Pods there were at once that had not ended; one that is deleted before it was bound has."""
    alive: set[str] = set()
    most = 0
    for event in rig.api.history:
        if event.resource is PODS:
            phase, leaving = event.obj["status"]["phase"], "deletionTimestamp" in event.obj["metadata"]
            over = event.type == "DELETED" or phase in ("Succeeded", "Failed") or (phase == "Pending" and leaving)
            (alive.discard if over else alive.add)(event.obj["metadata"]["name"])
            most = max(most, len(alive))
    return most
