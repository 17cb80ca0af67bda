"""Users: they decide, suspend, resume, stop, rerun, edit, and delete what is not theirs to delete.

They see the API server as it is, and do only what its admission lets them. The witness run is left alone.
"""

from collections.abc import Iterator

from support.chaos.dice import Dice
from support.chaos.plan import NAMESPACE
from support.fakeapi import FakeApi
from weft.api.objects import Key, Obj, key_of, owner_of, uid_of
from weft.kube.resources import (
    APPROVALS,
    JOBS,
    PODS,
    WORKFLOW_QUEUES,
    WORKFLOW_RUNS,
    WORKFLOWS,
    Resource,
)

DEEDS = (
    ("decide", 20.0), ("suspend", 4.0), ("resume", 6.0), ("stop", 2.0), ("rerun", 6.0), ("annotate", 6.0),
    ("delete a Job", 4.0), ("delete a Pod", 4.0), ("delete a run", 1.0), ("edit a Workflow", 3.0),
    ("delete a Workflow", 0.5), ("change the queue", 2.0),
)  # fmt: skip
UNSEEN = (("stop", 4.0), ("suspend", 2.0), ("rerun", 2.0), ("delete a Job", 3.0), ("delete a Pod", 3.0))
"""What they do while no operator is there to see it."""
DELETIONS = (
    ("delete a Job", 4.0),
    ("delete a Pod", 4.0),
    ("delete a run", 2.0),
    ("rerun", 4.0),
    ("rerun nowhere", 2.0),
)
_WORSE = {None: ("Drain", "Cancel", "Terminate"), "Drain": ("Cancel", "Terminate"), "Cancel": ("Terminate",)}


class People:
    """Everybody but the operator. `deleted` are runs that somebody deleted, to be made again under the same name."""

    def __init__(self, api: FakeApi, dice: Dice) -> None:
        self._api = api
        self._dice = dice
        self._votes = 0
        self.deleted: list[Obj] = []

    def do_something(self, deeds: tuple[tuple[str, float], ...] = DEEDS) -> None:
        """One deed, if there is an occasion for it."""
        deed = self._dice.weighted(deeds)
        with self._api.acting_as("user"):
            getattr(self, "_" + deed.lower().replace(" ", "_"))()

    def meddle(self, method: str, path: str) -> None:
        """Somebody is a moment faster than a write to this path."""
        *_, plural = path.split("/") if method == "POST" else path.removesuffix("/status").split("/")[:-1]
        with self._api.acting_as("user"):
            if method == "POST" and plural == "jobs":
                return  # a stranger's Job needs a name: see `squat`
            found = [r for r in (WORKFLOW_RUNS, JOBS, PODS) if r.plural == plural]
            name = path.removesuffix("/status").rsplit("/", 1)[-1]
            there = self._api.read(found[0], NAMESPACE, name) if found else None
            if there is None:
                return
            if method == "PATCH":
                self._touch(found[0], Key(NAMESPACE, name))
            elif method == "DELETE" and plural == "workflowruns" and has_ended(there):
                self._ask_again(there, {"from": "All"})

    def squat(self, name: str) -> None:
        """Take the name that a Job is about to get."""
        if self._api.read(JOBS, NAMESPACE, name) is None:
            spec = {"template": {"metadata": {}, "spec": {"containers": [{"name": "main", "image": "theirs"}]}}}
            with self._api.acting_as("user"):
                self._api.add({"kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    def calm_down(self) -> None:
        """Decide what is asked, resume what is suspended, take strangers out of the way."""
        with self._api.acting_as("user"):
            for run in self._runs(others=True):
                if run["spec"].get("suspend") and owner_of(run, "WorkflowRun") is None:
                    self._edit(run, suspend=False)
                for node in _waiting(run):
                    for by in ("ann", "bob"):
                        self._vote(run, node, by, "Approve")
            for job in self._api.all(JOBS, NAMESPACE):
                if not job["metadata"].get("ownerReferences"):
                    self._api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
            for queue in self._api.all(WORKFLOW_QUEUES, NAMESPACE):
                self._api.edit(WORKFLOW_QUEUES, *key_of(queue), lambda it: it["spec"].update(paused=False))

    def edit(self, name: str, **spec: object) -> None:
        """Change the spec of a run, if it is there; None takes a field out."""
        if (run := self._api.read(WORKFLOW_RUNS, NAMESPACE, name)) is not None:
            with self._api.acting_as("user"):
                self._edit(run, **spec)

    def ask_again(self, run: Obj) -> None:
        """Ask for all of a run once more."""
        with self._api.acting_as("user"):
            self._ask_again(run, {"from": "All"})

    def delete(self, resource: Resource, key: Key) -> None:
        """Delete what is there."""
        with self._api.acting_as("user"):
            self._api.remove(resource, *key)

    # --- deeds ---

    def _decide(self) -> None:
        for run in self._runs(others=True):
            for node in _waiting(run):
                if self._dice.chance(0.5):
                    word = "Reject" if self._dice.chance(0.15) else "Approve"
                    self._vote(run, node, self._dice.pick(("ann", "bob")), word)

    def _vote(self, run: Obj, node: str, by: str, decision: str) -> None:
        generation = (run.get("status") or {}).get("rerunGeneration") or 0
        ref = {"name": run["metadata"]["name"], "uid": uid_of(run)}
        spec = {"run": ref, "node": node, "decision": decision, "by": by}
        if generation:
            spec["rerunGeneration"] = generation
        given = (each["spec"] for each in self._api.all(APPROVALS, NAMESPACE))
        if any(each | {"decision": decision} == spec for each in given):
            return
        self._votes += 1
        metadata = {"name": f"vote-{self._votes}", "namespace": NAMESPACE}
        self._api.add({"apiVersion": "weft.dev/v1alpha1", "kind": "Approval", "metadata": metadata, "spec": spec})

    def _suspend(self) -> None:
        if run := self._any_run(ended=False):
            self._edit(run, suspend=True)

    def _resume(self) -> None:
        if run := self._any_run(ended=False):
            self._edit(run, suspend=False)

    def _stop(self) -> None:
        if (run := self._any_run(ended=False)) and (worse := _WORSE.get(run["spec"].get("stop"))):
            self._edit(run, stop=self._dice.pick(worse))

    def _rerun(self) -> None:
        run = self._any_run(ended=True)
        if run is None:
            return
        mode = self._dice.pick(("Failed", "Failed", "All", "Nodes"))
        rerun: Obj = {"from": mode}
        nodes = [node["name"] for node in (run.get("status") or {}).get("nodes") or () if "/" not in node["name"]]
        if mode == "Nodes":
            rerun["nodes"] = [self._dice.pick(nodes or ["n0"])]
        self._ask_again(run, rerun)

    def _rerun_nowhere(self) -> None:
        if run := self._any_run(ended=True):
            self._ask_again(run, {"from": "Nodes", "nodes": ["nowhere"]})

    def _annotate(self) -> None:
        resource = self._dice.pick((WORKFLOW_RUNS, JOBS, PODS))
        if found := self._any(resource):
            self._touch(resource, key_of(found))

    def _delete_a_job(self) -> None:
        if job := self._any(JOBS):
            self._api.remove(JOBS, *key_of(job))

    def _delete_a_pod(self) -> None:
        if pod := self._any(PODS):
            self._api.remove(PODS, *key_of(pod))

    def _delete_a_run(self) -> None:
        if run := self._any_run(ended=None):
            self._api.remove(WORKFLOW_RUNS, *key_of(run))
            if self._dice.chance(0.5):
                spec = {k: v for k, v in run["spec"].items() if k in ("workflowRef", "queue", "priority")}
                metadata = {"name": key_of(run).name, "namespace": NAMESPACE}
                self.deleted.append({**run, "metadata": metadata, "spec": spec})

    def _edit_a_workflow(self) -> None:
        if self._api.read(WORKFLOWS, NAMESPACE, "main") is not None:
            job = {"job": {"image": "new"}}
            nodes = [{"name": "n0", **job}, {"name": "late", "dependsOn": ["n0"], **job}]
            self._api.edit(WORKFLOWS, NAMESPACE, "main", lambda it: it.update(spec={"nodes": nodes}))

    def _delete_a_workflow(self) -> None:
        if self._api.read(WORKFLOWS, NAMESPACE, "main") is not None:
            self._api.remove(WORKFLOWS, NAMESPACE, "main")

    def _change_the_queue(self) -> None:
        for queue in self._api.all(WORKFLOW_QUEUES, NAMESPACE):
            wish = {"maxActiveRuns": 1 + self._dice.below(3), "paused": self._dice.chance(0.2)}
            self._api.edit(WORKFLOW_QUEUES, *key_of(queue), lambda it, wish=wish: it["spec"].update(wish))

    # --- finding and changing ---

    def _runs(self, *, others: bool = False) -> Iterator[Obj]:
        """Runs that people look after; with `others`, the witness and child runs too."""
        for run in self._api.all(WORKFLOW_RUNS, NAMESPACE):
            if others or (run["metadata"]["name"] != "witness" and owner_of(run, "WorkflowRun") is None):
                yield run

    def _any_run(self, *, ended: bool | None) -> Obj | None:
        found = [run for run in self._runs() if ended in (None, has_ended(run))]
        return self._dice.pick(found) if found else None

    def _any(self, resource: Resource) -> Obj | None:
        found = [
            obj
            for obj in self._api.all(resource, NAMESPACE)
            if "witness" not in (obj["metadata"]["name"], (obj["metadata"].get("labels") or {}).get("weft.dev/run"))
        ]
        return self._dice.pick(found) if found else None

    def _ask_again(self, run: Obj, rerun: Obj) -> None:
        generation = ((run["spec"].get("rerun") or {}).get("generation") or 0) + 1
        self._edit(run, rerun=rerun | {"generation": generation}, stop=None)

    def _edit(self, run: Obj, **spec: object) -> None:
        def change(it: Obj) -> None:
            for field, value in spec.items():
                if value is None:
                    it["spec"].pop(field, None)
                else:
                    it["spec"][field] = value

        self._api.edit(WORKFLOW_RUNS, *key_of(run), change)

    def _touch(self, resource: Resource, key: Key) -> None:
        self._votes += 1
        mark = {"people.example/mark": str(self._votes)}

        def change(it: Obj) -> None:
            it["metadata"]["annotations"] = (it["metadata"].get("annotations") or {}) | mark

        self._api.edit(resource, *key, change)


def has_ended(run: Obj) -> bool:
    """Whether the run has its terminal condition."""
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Finished" and one["status"] == "True" for one in conditions)


def _waiting(run: Obj) -> list[str]:
    """Nodes of the run that wait for people, as far as its status tells."""
    nodes = (run.get("status") or {}).get("nodes") or ()
    return [node["name"] for node in nodes if node["phase"] == "Waiting" and node.get("reason") == "AwaitingApproval"]
