"""What a seed puts into the cluster: Workflows, runs, queues, and what becomes of every Pod.

The main Workflow is a random one of the property tests. Beside it runs a `witness`, which nobody touches and whose
Pods do what is written here: whatever happens around it, it must end as `WITNESS_ENDS` says. Now and then a hopeless
run is there too, whose harm must stay its own, one that is stuck, or rivals: several runs that want one concurrency
key. What could wait for ever by right (a service that holds the only place) is taken out, so that every run has to
end.
"""

from dataclasses import dataclass, field
from typing import Any

from support.chaos.dice import Dice
from support.kubelet import Fate
from support.workflows import Chooser, random_case
from weft.api.objects import Obj
from weft.render.names import IDENTITY_ANNOTATION, parse_identity

NAMESPACE = "n"
ELSEWHERE = ("l", "p", "a", "o")
"""One in each of four shards; `p` shares one with `n`."""
Json = dict[str, Any]

_JOB: Json = {"job": {"image": "i"}}
WITNESS: Json = {
    "nodes": [
        {"name": "a", **_JOB},
        {"name": "each", "dependsOn": ["a"], "forEach": {"range": 3, "maxParallel": 2}, "retry": {"limit": 1}, **_JOB},
        {"name": "flaky", "dependsOn": ["a"], "retry": {"limit": 2, "backoff": {"initialSeconds": 1}}, **_JOB},
        {"name": "pick", "dependsOn": ["a"], "switch": {"cases": [{"name": "x", "when": "nodes.a.outputs.n == 3"}]}},
        {"name": "on-x", "dependsOn": ["pick:x"], "while": {"condition": "iteration < 1", "maxIterations": 3}, **_JOB},
        {"name": "off", "dependsOn": ["flaky:Failed"], **_JOB},
        {"name": "bad", "dependsOn": ["a"], **_JOB},
        {"name": "handler", "dependsOn": ["bad:Failed"], **_JOB},
        {"name": "sum", "dependsOn": ["each", "flaky"], "expr": {"n": "nodes.a.outputs.n + 1"}},
        {"name": "end", "dependsOn": ["sum", "on-x", "handler"], **_JOB},
    ],
    "outputs": [{"name": "n", "value": "nodes.sum.outputs.n"}],
    "parallelism": 3,
}
WITNESS_ENDS = {
    "a": ("Succeeded", 1), "each": ("Succeeded", 3), "flaky": ("Succeeded", 2), "pick": ("Succeeded", 1),
    "on-x": ("Succeeded", 2), "off": ("Skipped", 0), "bad": ("Failed", 1), "handler": ("Succeeded", 1),
    "sum": ("Succeeded", 1), "end": ("Succeeded", 1),
}  # fmt: skip

_KEY: Json = {"concurrency": {"key": "rivals", "policy": "Queue"}}
RIVALS = 4
RIVAL: Json = {"nodes": [{"name": "a", **_JOB, **_KEY}, {"name": "b", "dependsOn": ["a"], **_JOB, **_KEY}]}

STUCK: Json = {"nodes": [{"name": "a", "pendingTimeoutSeconds": 2, "retry": {"limit": 1}, **_JOB}]}
"""No cluster node ever takes its Pod."""

HOPELESS: tuple[Json, ...] = (
    {"nodes": [{"name": "a", "expr": {"x": "{}.nothing"}}, {"name": "b", "dependsOn": ["a"], **_JOB}]},
    {"nodes": [{"name": "a", "dependsOn": ["b"], **_JOB}, {"name": "b", "dependsOn": ["a"], **_JOB}]},
    {"nodes": [{"name": "a", "forEach": {"items": "[1, 2].map(x, {}.nothing)"}, **_JOB}]},
    {"nodes": [{"name": "a", "workflow": {"name": "nowhere"}}]},
    {"nodes": "nonsense"},
    {"nodes": [{"name": "giant", **_JOB}, {"name": "b", "dependsOn": ["giant"], **_JOB}]},
)


@dataclass
class Plan:
    """One seed's cluster before anything runs."""

    documents: list[Json] = field(default_factory=list)
    runs: list[tuple[float, Json]] = field(default_factory=list)
    """When each run is created."""
    services: set[tuple[str, str]] = field(default_factory=set)
    """(Workflow, node path without positions)."""
    hasty: bool = False
    """Most Pods end before the answer to their creation can be there."""

    def add_witnesses(self, dice: Dice) -> None:
        """Put a witness into other namespaces, too, where nobody does anything."""
        for namespace in ELSEWHERE:
            workflow, run = document_of("Workflow", "witness", WITNESS), run_of("witness", "witness", dice)
            workflow["metadata"]["namespace"] = run["metadata"]["namespace"] = namespace
            self.documents.append(workflow)
            self.runs.append((dice.between(0, 12), run))


def plan_of(dice: Dice, *, hardships: bool) -> Plan:
    plan = Plan()
    case = random_case(Chooser(dice.of("case").below), actions=False)
    dice = dice.of("plan")
    for document in case.documents:
        spec = document["spec"]
        _never_for_ever(spec)
        plan.services |= {(document["metadata"]["name"], path) for path in _services(spec)}
        plan.documents.append(document_of("Workflow", document["metadata"]["name"], spec))
    if dice.chance(0.3):
        _use_a_type(plan, case.spec["nodes"])
    if dice.chance(0.3):
        case.spec["jobs"] = {"keep": dice.pick(("All", "None"))}
    if dice.chance(0.2):
        case.spec["ttlSecondsAfterFinished"] = dice.pick((0, 3, 20))
    if dice.chance(0.1):
        case.spec["historyLimits"] = {"succeeded": dice.below(2), "failed": dice.below(2)}
    if dice.chance(0.4):
        plan.documents.append(document_of("WorkflowQueue", "default", {"maxActiveRuns": 1 + dice.below(3)}))
    kept = {"jobs": {"keep": dice.of("kept").pick(("Failed", "None"))}}
    plan.documents.append(document_of("Workflow", "witness", {**WITNESS, **kept}))
    for number in range(2 if dice.chance(0.25) else 1):
        plan.runs.append((dice.between(0, 6), run_of(f"main-{number}", "main", dice)))
    plan.runs.append((dice.between(0, 6), run_of("witness", "witness", dice)))
    if dice.chance(0.3):
        plan.documents.append(document_of("Workflow", "hopeless", dice.pick(HOPELESS)))
        plan.runs.append((dice.between(0, 6), run_of("hopeless", "hopeless", dice)))
    plan.hasty = dice.of("hasty").chance(0.15)
    rivals = dice.of("rivals")
    if rivals.chance(0.2):
        plan.documents.append(document_of("Workflow", "rival", RIVAL))
        plan.runs += [(rivals.between(0, 9), run_of(f"rival-{n}", "rival", rivals)) for n in range(RIVALS)]
    stuck = dice.of("stuck")
    if hardships and stuck.chance(0.2):
        plan.documents.append(document_of("Workflow", "stuck", STUCK))
        plan.runs.append((stuck.between(0, 9), run_of("stuck", "stuck", stuck)))
    return plan


def fate_of(pod: Obj, dice: Dice, plan: Plan) -> Fate:
    """What becomes of a Pod: always the same for the same attempt of the same run."""
    labels = pod["metadata"]["labels"]
    identity = parse_identity(pod["metadata"]["annotations"][IDENTITY_ANNOTATION])
    assert identity is not None
    path, _, _, role, attempt = identity[1]
    dice = dice.of("fate", labels["weft.dev/run"], *identity[1])
    run = labels["weft.dev/run"]
    if run == "witness":
        code = 1 if path == "bad" or (path, attempt) == ("flaky", 1) else 0
        return Fate(seconds=dice.pick((0.2, 1.0, 3.0)), code=code, text='{"n": 3}')
    if run == "stuck":
        return Fate(waits="Unschedulable", pending=1000.0)
    if run == "hopeless":
        return Fate(text="x" * 6000 if path == "giant" else "")
    place = labels["weft.dev/workflow"], "/".join(segment.partition("[")[0] for segment in path.split("/"))
    original = pod["spec"]["containers"][0]["image"] == "i"  # nobody has edited the Workflow before the run
    if place in plan.services and original and role == "main" and dice.chance(0.85):
        return Fate(seconds=10.0**9)
    if plan.hasty and dice.chance(0.7):
        return Fate(0.0, bind=0.001)
    seconds = dice.pick((0.1, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 9.0))
    text = dice.pick(("", "", '{"n": 2}', "n=1"))
    return dice.weighted(
        (
            (Fate(seconds, text=text, bind=dice.between(0.02, 1)), 68),
            (Fate(seconds, code=1 + dice.below(2)), 12),
            (Fate(seconds, code=137, reason="OOMKilled"), 3),
            (Fate(seconds, code=137, reason="Evicted"), 3),
            (Fate(seconds, code=137, reason="NodeLost"), 3),
            (Fate(seconds, vanish=True), 2),
            (Fate(seconds, waits="Unschedulable", pending=dice.between(0.5, 1000.0)), 3),
            (Fate(seconds, waits="ErrImagePull", pending=dice.between(0.5, 1000.0)), 3),
            (Fate(0.0, bind=0.01), 3),
        )
    )


def _never_for_ever(spec: Json) -> None:
    graphs = [spec, *spec.get("graphs", ())]
    nodes = [node for graph in graphs for node in graph["nodes"]]
    if any(node.get("service") for node in nodes):
        spec.pop("parallelism", None)
    for node in nodes:
        if node.get("service"):
            node.pop("concurrency", None)


def _services(spec: Json) -> set[str]:
    graphs = {graph["name"]: graph for graph in spec.get("graphs", ())}

    def walk(nodes: list[Json], prefix: str) -> set[str]:
        found = set()
        for node in nodes:
            if node.get("service"):
                found.add(prefix + node["name"])
            if "graph" in node:
                found |= walk(graphs[node["graph"]["name"]]["nodes"], f"{prefix}{node['name']}/")
        return found

    return walk(spec["nodes"], "")


def _use_a_type(plan: Plan, nodes: list[Json]) -> None:
    plan.documents.append(document_of("NodeType", "tool", {"parameters": [{"name": "p", "default": "1"}], **_JOB}))
    for node in nodes:
        if "job" in node and not node.get("service"):
            del node["job"]
            node["use"] = {"name": "tool", "with": {"p": "2"}}
            return


def document_of(kind: str, name: str, spec: Json) -> Json:
    """One of ours in the namespace."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def run_of(name: str, workflow: str, dice: Dice) -> Json:
    """A run in the default queue, of some priority."""
    priority = dice.pick(("High", "Normal", "Low"))
    spec: Json = {"workflowRef": {"name": workflow}, "queue": "default", "priority": priority}
    return document_of("WorkflowRun", name, spec)
