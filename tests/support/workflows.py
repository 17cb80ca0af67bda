"""Random workflows and scenarios, for properties that hold whatever a user writes.

    case = random_case(Chooser(random.Random(7).randrange))     # or cases() as a hypothesis strategy
    case.documents, case.scenario

Everything of design section 3 occurs: edges of every outcome, joins, conditions, failure policies, retries, loops,
switches, approvals, waits, subgraphs, child runs, services, compensations, keys, caches, limits, and a world that
fails, disrupts, decides, suspends, stops and reruns. A chooser that always says 0 gives the simplest case, so that
hypothesis shrinks towards it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Json = dict[str, Any]

MAX_NODES = 7

PARAMETERS_PER_ROUND = """
    nodes:
    - name: loop
      while: {condition: previous.n < 3}
      graph: {name: g, parameters: {round: "${{ iteration == 0 ? 0 : previous.n }}"}}
    - {name: bad, dependsOn: [loop], job: {image: i}}
    graphs:
    - name: g
      parameters: [{name: round, type: integer}]
      nodes:
      - {name: a, expr: {n: params.round + 1}}
      - name: b
        dependsOn: [a]
        job: {image: i}
        compensate: {graph: {name: pause, parameters: {seconds: "${{ 10 * params.round + 1 }}"}}}
      outputs: [{name: n, value: nodes.a.outputs.n}]
    - name: pause
      parameters: [{name: seconds, type: integer}]
      nodes: [{name: wait, wait: {seconds: "${{ params.seconds }}"}}]
"""
"""Three rounds of a subgraph, each undone by a wait of 1, 11 and 21 seconds, when `bad` fails."""


class Chooser:
    """Choices made by `below(n)`, a number from 0 to n-1."""

    def __init__(self, below: Callable[[int], int]) -> None:
        self.below = below

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        return self.below(count) == count - 1


@dataclass
class Case:
    """A workflow, what it can call, and what the world does."""

    spec: Json
    others: list[Json]
    scenario: Json
    approvals: list[str] = field(default_factory=list)

    @property
    def documents(self) -> list[Json]:
        return [_document("Workflow", "main", self.spec), *self.others]


@st.composite
def cases(draw: st.DrawFn, *, actions: bool = True) -> Case:
    """Cases as a hypothesis strategy; `actions`: whether the user stops, suspends and reruns."""
    return random_case(Chooser(lambda count: draw(st.integers(0, count - 1))), actions=actions)


def random_case(choose: Chooser, *, actions: bool = True) -> Case:
    graphs = [_graph(choose, f"g{number}", [f"g{n}" for n in range(number)]) for number in range(choose.below(3))]
    names = [graph["name"] for graph in graphs]
    spec: Json = {"nodes": _nodes(choose, "n", names, child=True)}
    if graphs:
        spec["graphs"] = graphs
    if choose.one_in(2):
        spec["failurePolicy"] = choose.pick(["Continue", "Cancel", "Drain"])
    if choose.one_in(3):
        spec["parallelism"] = 1 + choose.below(3)
    if choose.one_in(6):
        spec["timeoutSeconds"] = 1 + choose.below(40)
    if choose.one_in(4):
        spec["defaults"] = {"retry": _retry(choose)}
    if choose.one_in(3):
        spec["finally"] = [{"name": f"f{n}", "job": {"image": "i"}} for n in range(1 + choose.below(2))]
    child: Json = {"nodes": _nodes(choose, "c", [], child=False)[:3]}
    case = Case(spec, [_document("Workflow", "child", child)], {})
    paths = _paths(spec["nodes"], {g["name"]: g for g in graphs}, child["nodes"], "", case.approvals)
    paths += [node["name"] for node in spec.get("finally", [])]
    case.scenario = _scenario(choose, paths, case.approvals, actions=actions)
    return case


def in_rounds(case: Case) -> Case:
    """The case with every subgraph gone through several times, all jobs in it to be undone, and a failure in the end.

    A case of its own kind, so that the choices of `random_case` stay what they are.
    """
    graphs = case.spec.get("graphs", [])
    inner = [node for graph in graphs for node in graph["nodes"]]
    for number, node in enumerate([*case.spec["nodes"], *inner]):
        if "graph" in node and "forEach" not in node:
            node["while"] = {"condition": f"iteration < {1 + number % 2}", "maxIterations": 5}
    for node in inner:
        if "job" in node and not node.get("service"):
            node.setdefault("compensate", {"job": {"image": "i"}})
    done = [f"{node['name']}:Done" for node in case.spec["nodes"]]
    case.spec["nodes"].append({"name": "last", "dependsOn": done, "job": {"image": "i"}})
    case.scenario["events"].append({"node": "last", "exitCode": 1})
    return case


def rerun_on_other_lists(case: Case) -> Case:
    """The case failed once, its lists shorter in every second rerun, all jobs to be undone, and some undone in vain."""
    inner = [node for graph in case.spec.get("graphs", []) for node in graph["nodes"]]
    for number, node in enumerate([*case.spec["nodes"], *inner]):
        if "forEach" in node:
            node["forEach"].setdefault("maxParallel", 1 + number % 2)
            node["forEach"]["range"] = f"run.attempt % 2 == 0 ? {number % 2} : {node['forEach']['range']}"
        if "job" in node and not node.get("service"):
            node.setdefault("compensate", {"job": {"image": "i"}})
            if number % 3 == 0:
                event = {"node": node["name"], "role": "compensate", "attempt": 1, "exitCode": 1}
                case.scenario["events"].insert(0, event)
    done = [f"{node['name']}:Done" for node in case.spec["nodes"]]
    case.spec["nodes"].append({"name": "last", "dependsOn": done, "job": {"image": "i"}})
    case.scenario["events"].insert(0, {"node": "last", "attempt": 1, "exitCode": 1})
    reruns = [{"at": 100, "rerun": "Failed"}, {"at": 200, "rerun": "All"}, {"at": 300, "rerun": "Failed"}]
    case.scenario["actions"] = [*case.scenario.get("actions", ()), *reruns]
    return case


def with_values(case: Case, choose: Chooser) -> Case:
    """The case with something that tells items, rounds, attempts and outcomes apart, wherever an expression may stand.

    Everything that is done is given it: jobs and what undoes them, graphs and child runs, lists, keys and questions.
    """
    graphs = case.spec.get("graphs", [])
    for graph in graphs:
        graph["parameters"] = [{"name": "p", "type": "string", "default": "d"}]
        graph["outputs"] = [{"name": "o", "value": f"nodes.{graph['nodes'][-1]['name']}.phase + params.p"}]
    for other in case.others:
        other["spec"]["parameters"] = [{"name": "p", "type": "string", "default": "d"}]
    for nodes, params in ((case.spec["nodes"], []), *((graph["nodes"], ["params.p"]) for graph in graphs)):
        for node in nodes:
            _give_values(choose, node, params)
    names = [node["name"] for node in case.spec["nodes"]]
    told = [f"nodes.{name}.{field}" for name in names for field in ("phase", "reason", "exitCode", "outputs")]
    for node in case.spec.get("finally", []):
        node["job"] = _told(["run.failures", "run.outcome", *told])
    return case


def _give_values(choose: Chooser, node: Json, params: list[str]) -> None:
    upstream = [edge.partition(":")[0] for edge in node.get("dependsOn", ())]
    seen = [f"nodes.{name}.{choose.pick(['phase', 'reason', 'exitCode'])}" for name in upstream]
    values = [*params, *seen, "run.attempt"]
    loop = node.get("forEach", {})
    if isinstance(loop.get("range"), int):
        shown = f"string({choose.pick([*params, 'run.attempt'])})" if choose.one_in(2) else "''"
        if seen and choose.one_in(2):
            shown = f"({seen[0]} == null ? 'none' : string({seen[0]}))"
        letters = "abcde"[: loop.pop("range")]
        loop["items"] = "[" + ", ".join(f"{shown} + '{letter}'" for letter in letters) + "]"
    if loop:
        values += ["item"]
    if "while" in node:
        values += ["iteration", "previous"]
    text = "".join(f"${{{{ {value} }}}}" for value in values)
    for part in (node, node.get("compensate", {})):
        if "job" in part:
            part["job"] = _told(values)
        elif "graph" in part:
            part["graph"]["parameters"] = {"p": text}
    if "workflow" in node:
        node["workflow"]["parameters"] = {"p": text}
    if "http" in node:
        node["http"]["headers"] = [{"name": "X-Values", "value": text}]
    if "approval" in node:
        node["approval"]["message"] = text
    if "cache" in node and choose.one_in(2):
        node["cache"]["key"] = choose.pick(["string(run.attempt)", "string(index)" if loop else "'same'"])
    if "concurrency" in node and choose.one_in(2):
        node["concurrency"]["key"] = "k${{ run.attempt }}"


def _told(values: Sequence[str]) -> Json:
    return {"image": "i", "env": [{"name": f"E{n}", "expr": value} for n, value in enumerate(values)]}


def _document(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _graph(choose: Chooser, name: str, lower: list[str]) -> Json:
    graph: Json = {"name": name, "nodes": _nodes(choose, "m", lower, child=False)[:4]}
    if choose.one_in(3):
        graph["failurePolicy"] = choose.pick(["Continue", "Cancel", "Drain"])
    return graph


def _nodes(choose: Chooser, letter: str, graphs: list[str], *, child: bool) -> list[Json]:
    nodes: list[Json] = []
    for number in range(1 + choose.below(MAX_NODES)):
        nodes.append(_node(choose, f"{letter}{number}", nodes, graphs, child=child))
    return nodes


def _node(choose: Chooser, name: str, earlier: list[Json], graphs: list[str], *, child: bool) -> Json:
    kinds = ["job", "job", "job", "job", "expr", "wait", "switch", "approval", "http", "resource"]
    kinds += ["graph", "graph"] * bool(graphs) + ["workflow"] * child
    kind = choose.pick(kinds)
    node: Json = {"name": name, **_body(choose, kind, graphs)}
    if edges := _edges(choose, earlier):
        node["dependsOn"] = edges
        if choose.one_in(3):
            node["join"] = "Any"
    if choose.one_in(8):
        node["when"] = choose.pick(["true", "false", "run.attempt < 2"])
    if kind == "job" and choose.one_in(8):
        node["service"] = True
    elif kind in ("job", "graph", "workflow", "http", "expr"):
        _loop(choose, node)
    if choose.one_in(5):
        node["allowFailure"] = True
    if kind in ("job", "graph", "workflow", "http", "resource"):
        _modifiers(choose, node, graphs)
    return node


def _body(choose: Chooser, kind: str, graphs: list[str]) -> Json:
    match kind:
        case "job":
            return {"job": {"image": "i"}}
        case "graph":
            return {"graph": {"name": choose.pick(graphs)}}
        case "workflow":
            return {"workflow": {"name": "child"}}
        case "expr":
            return {"expr": {"x": choose.pick(["1", "'a' + 'b'", "{}.missing"])}}
        case "wait":
            return {"wait": {"seconds": choose.below(9)}}
        case "switch":
            cases = [{"name": name, "when": choose.pick(["true", "false"])} for name in ("x", "y")]
            return {"switch": {"cases": cases} | ({"default": "x"} if choose.one_in(2) else {})}
        case "approval":
            body: Json = {"quorum": 1 + choose.below(2)}
            if choose.one_in(2):
                body |= {"timeoutSeconds": 1 + choose.below(30), "onTimeout": choose.pick(["Approve", "Reject"])}
            return {"approval": body}
        case "http":
            return {"http": {"url": "http://example.test/"}}
    return {"resource": {"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}}


def _edges(choose: Chooser, earlier: list[Json]) -> list[str]:
    edges: dict[str, str] = {}
    for _ in range(choose.below(4) if earlier else 0):
        source = choose.pick(earlier)
        outcomes = ["", "", "", ":Failed", ":Done"]
        if source.get("service"):
            outcomes = [":Ready"]
        if "switch" in source:
            outcomes += [":x", ":y"]
        edges[source["name"]] = choose.pick(outcomes)
    return [name + outcome for name, outcome in edges.items()]


def _loop(choose: Chooser, node: Json) -> None:
    if choose.one_in(4):
        loop: Json = {"range": choose.below(5)}
        if choose.one_in(2):
            loop["maxParallel"] = 1 + choose.below(3)
        if choose.one_in(2):
            loop["maxFailed"] = choose.below(4)
        node["forEach"] = loop
    elif choose.one_in(6):
        node["while"] = {"condition": f"iteration < {choose.below(4)}", "maxIterations": 1 + choose.below(4)}


def _modifiers(choose: Chooser, node: Json, graphs: list[str]) -> None:
    if choose.one_in(3):
        node["retry"] = _retry(choose)
    if choose.one_in(6):
        node["timeoutSeconds"] = 1 + choose.below(6)
    if choose.one_in(8):
        node["deadlineSeconds"] = 1 + choose.below(12)
    if choose.one_in(8) and "job" in node:
        node["pendingTimeoutSeconds"] = 1 + choose.below(9)
    if choose.one_in(4):
        with_graph = graphs and choose.one_in(3)
        node["compensate"] = {"graph": {"name": graphs[0]}} if with_graph else {"job": {"image": "i"}}
    if (
        choose.one_in(8) and "graph" not in node and "workflow" not in node
    ):  # a key held around a key may wait for itself
        policy = choose.pick(["Queue", "Skip", "CancelRunning"])
        node["concurrency"] = {"key": choose.pick(["k", "l"]), "limit": 1 + choose.below(2), "policy": policy}
    if choose.one_in(10) and not node.get("service"):
        node["cache"] = {"key": "'same'"}


def _retry(choose: Chooser) -> Json:
    retry: Json = {"limit": choose.below(3), "disruptions": choose.below(3)}
    if choose.one_in(2):
        retry["backoff"] = {
            "initialSeconds": choose.below(4),
            "factor": 1 + choose.below(2),
            "maxSeconds": 5,
            "jitter": 0.5,
        }
    if choose.one_in(4):
        retry["when"] = "exitCode != 2"
    return retry


def _paths(
    nodes: list[Json], graphs: dict[str, Json], child: list[Json], prefix: str, approvals: list[str]
) -> list[str]:
    found = []
    for node in nodes:
        path = prefix + node["name"]
        found.append(path)
        if "approval" in node:
            approvals.append(path)
        if "graph" in node:
            found += _paths(graphs[node["graph"]["name"]]["nodes"], graphs, child, f"{path}/", approvals)
        if "workflow" in node:
            found += _paths(child, {}, [], f"{path}/", approvals)
    return found


def _scenario(choose: Chooser, paths: list[str], approvals: list[str], *, actions: bool) -> Json:
    scenario: Json = {"events": [_event(choose, choose.pick(paths)) for _ in range(choose.below(7))]}
    if choose.one_in(3):
        scenario["default"] = {"durationSeconds": choose.below(4)}
    decisions = [
        {
            "node": path,
            "at": choose.below(30),
            "by": by,
            "decision": choose.pick(["Approve", "Approve", "Approve", "Reject"]),
        }
        for path in approvals
        for by in ("ann", "bob")
        if not choose.one_in(4)
    ]
    if decisions:
        scenario["approvals"] = decisions
    if actions:
        scenario["actions"] = [_action(choose) for _ in range(choose.below(4))]
    return scenario


def _event(choose: Chooser, path: str) -> Json:
    event: Json = {"node": path}
    if choose.one_in(2):
        event["durationSeconds"] = choose.pick([1, 0, 0.5, 2, 3, 5, 9])
    kind = choose.below(5)
    if kind <= 1:
        event["exitCode"] = 1 + kind
    elif kind == 2:
        reasons = ["OOMKilled", "Evicted", "NodeLost", "PodDeleted", "ImagePullFailed", "Unschedulable"]
        event["reason"] = choose.pick(reasons)
    elif kind == 3:
        event["outputs"] = {"n": choose.below(3)}
    if choose.one_in(2):
        event["attempt"] = 1 + choose.below(3)
    if choose.one_in(4):
        event["index"] = choose.below(3)
    if choose.one_in(6):
        event["iteration"] = choose.below(2)
    if choose.one_in(6):
        event["role"] = "compensate"
    return event


def _action(choose: Chooser) -> Json:
    at = choose.pick([1, 0, 0.5, 2, 3, 4, 7, 11, 20])
    return choose.pick(
        [
            {"at": at, "suspend": True},
            {"at": at + 2, "suspend": False},
            {"at": at, "stop": choose.pick(["Drain", "Cancel", "Terminate"])},
            {"at": at, "rerun": choose.pick(["Failed", "All"])},
            {"at": at, "rerun": {"from": "Nodes", "nodes": ["n0"]}},
        ]
    )
