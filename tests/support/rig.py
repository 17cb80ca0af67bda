"""The whole operator in one process, on the API server in memory and in virtual time.

    rig = Rig()
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    run = await rig.finish("w")                     # creates a run and lets time pass until it has ended
    rig.crash_after(7)                              # the operator dies at its seventh request from now
    await rig.restart()

A kubelet plays every Pod as `behave` says (a Fate by node and attempt; Succeeded after one second by default). The
namespace is `n`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import yaml
from support.clock import VirtualClock, settle
from support.fakeapi import Asked, FakeApi
from weft.app import Operator
from weft.controllers.catalog import KINDS
from weft.kube.cache import Cache
from weft.kube.informer import Informer
from weft.kube.objects import Obj, annotation, timestamp
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS
from weft.metrics import Metrics
from weft.notify.guarded_http import RequestFailed
from weft.render.names import IDENTITY_ANNOTATION
from weft.settings import Settings

NAMESPACE = "n"
NEVER = 10**9


@dataclass(frozen=True)
class Fate:
    """What becomes of a Pod: `seconds` from its start, then its exit code and termination message."""

    seconds: float = 1.0
    code: int = 0
    text: str = ""
    pending: float = 0.0
    reason: str | None = None


class Crashed(BaseException):
    """The operator's process is gone; nothing may catch it."""


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
        self._seed = seed
        self._tasks: list[asyncio.Task[Any]] = []
        self._kubelet: asyncio.Task[None] | None = None
        self._playing: dict[str, asyncio.Task[None]] = {}
        self._countdown: int | None = None
        self._late = False
        self.operator: Operator | None = None
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

    def jobs_made(self) -> Counter[str]:
        """How often a Job of each identity came to be, by the server's own log."""
        return Counter(
            annotation(event.obj, IDENTITY_ANNOTATION) or ""
            for event in self.api._log
            if event.resource is JOBS and event.type == "ADDED"
        )

    # --- the operator ---

    async def up(self) -> None:
        """Start an operator (and the kubelet, the first time)."""
        if self._kubelet is None:
            self._kubelet = asyncio.ensure_future(self._play())
        self.operator = Operator(
            self.settings, self.api, http=self.http, clock=self.clock, rng=random.Random(self._seed),  # type: ignore[arg-type]
            spawn=self._spawn, metrics=self.metrics, identity=f"op-{self.crashes}",
        )  # fmt: skip
        self.operator.follow()
        for kind in KINDS:
            self._spawn(self._feed(self.operator, kind), name=f"watch-{kind.plural}")
        lead = self._spawn(self.operator.lead(), name="lead")
        for _ in range(200):
            await settle()
            if lead.done():
                break
            await self.clock.advance(0.05)
        if lead.done() and not lead.cancelled() and lead.exception() is not None and not self.dead:
            raise lead.exception()  # type: ignore[misc]

    async def down(self) -> None:
        """Kill the operator: nothing of it runs on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self.operator = None

    async def close(self) -> None:
        await self.down()
        rest = [*self._playing.values(), *([self._kubelet] if self._kubelet else [])]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

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
        if self.operator is None:
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

    def _spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> Any:
        task = asyncio.ensure_future(self._survive(work))
        self._tasks.append(task)
        return task

    async def _survive(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        except Crashed:
            await asyncio.Event().wait()  # the process is gone: nothing after this line happens

    async def _feed(self, operator: Operator, kind: Any) -> None:
        """What kopf does in a real process."""
        informer = Informer(
            operator.client, kind, cache=Cache(monotonic=self.clock.monotonic), clock=self.clock,
            on_event=lambda type_, obj, old: operator.catalog.apply(kind, type_, obj),
            rng=random.Random(1), metrics=self.metrics,
        )  # fmt: skip
        await informer.run()

    def _before(self, asked: Asked) -> None:
        if self.dead:
            raise Crashed
        if self._countdown is not None and not self._late:
            self._count_down(asked)

    def _after(self, asked: Asked) -> None:
        if self._countdown is not None and self._late:
            self._count_down(asked)

    def _count_down(self, asked: Asked) -> None:
        if asked.method != "WATCH" and self._countdown is not None:
            self._countdown -= 1
            if self._countdown == 0:
                raise Crashed

    # --- the kubelet ---

    async def _play(self) -> None:
        client = FakeApi.client(self.api)
        informer = Informer(
            client, PODS, cache=Cache(monotonic=self.clock.monotonic), clock=self.clock, on_event=self._pod_event,
            rng=random.Random(2), metrics=Metrics(),
        )  # fmt: skip
        await informer.run()

    def _pod_event(self, type_: str, pod: Obj, old: Obj | None) -> None:
        uid = pod["metadata"]["uid"]
        if type_ == "ADDED" and uid not in self._playing:
            self._playing[uid] = asyncio.ensure_future(self._live(pod))

    async def _live(self, pod: Obj) -> None:
        name = pod["metadata"]["name"]
        env = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
        fate = self.behave(env["WEFT_NODE"], int(env["WEFT_ATTEMPT"]))
        await self.clock.sleep(fate.pending or 0.1)
        if not self._set(name, spec={"nodeName": "k"}, phase="Running", state={"running": {"startedAt": self._now()}}, ready=True):
            return
        ends = self.clock.monotonic() + fate.seconds
        while self.clock.monotonic() < ends:
            await self.clock.sleep(min(0.5, ends - self.clock.monotonic()))
            current = self.api.read(PODS, NAMESPACE, name)
            if current is None:
                return
            if current["metadata"].get("deletionTimestamp"):
                self._end(name, 137, "", "Error")
                return
            if current["spec"].get("activeDeadlineSeconds") == 1:
                self._end(name, 137, "", "Error", reason="DeadlineExceeded")
                return
        self._end(name, fate.code, fate.text, "Completed" if fate.code == 0 else "Error", reason=fate.reason)

    def _end(self, name: str, code: int, text: str, word: str, *, reason: str | None = None) -> None:
        terminated = {"exitCode": code, "reason": word, "message": text, "startedAt": self._now(), "finishedAt": self._now()}
        phase = "Succeeded" if code == 0 else "Failed"
        self._set(name, spec={}, phase=phase, state={"terminated": terminated}, ready=False, reason=reason)

    def _set(
        self, name: str, *, spec: Obj, phase: str, state: Obj, ready: bool, reason: str | None = None
    ) -> bool:
        def change(pod: Obj) -> None:
            pod["spec"].update(spec)
            pod["status"] = {
                "phase": phase,
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{"name": "main", "image": "i", "state": state}],
                **({"reason": reason} if reason else {}),
            }

        try:
            self.api.edit(PODS, NAMESPACE, name, change)
        except KeyError:
            return False
        return True

    def _now(self) -> str:
        return timestamp(self.clock.now())
