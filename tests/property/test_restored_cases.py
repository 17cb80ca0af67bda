"""Runs that a restart once changed, by hand: each is one thing that a status has to tell, or a state to do without it.

What work was made from, its compensation is made from, too, however long ago that was.
"""

import pytest
import yaml
from support.dying import FORMS, at, check, one_in
from support.workflows import Case

SHOWN = "{image: i, env: [{name: B, value: '${{ SHOWN }}'}]}"


def case(spec: str, scenario: str) -> Case:
    """J is a job; `J(x)` is one that is given `${{ x }}`."""
    head, *rest = spec.replace("J(", "\0").split("\0")
    for text in rest:
        shown, _, after = text.partition(")")
        head += SHOWN.replace("SHOWN", shown) + after
    return Case(yaml.safe_load(head.replace(": J", ": {image: i}")), [], yaml.safe_load(scenario))


INNER = """
graphs:
- name: g
  parameters: [{name: b, type: string}]
  nodes: [{name: a, job: J(params.b), compensate: {job: J(params.b)}}]
"""
KEPT_ITEMS = """
events:
- {node: bad, exitCode: 1}
- {node: other, exitCode: 1}
- {node: n, index: 1, attempt: 1, exitCode: 1, durationSeconds: 5}
- {node: n/a, index: 1, attempt: 1, exitCode: 1, durationSeconds: 5}
actions: [{at: 3, stop: Terminate}, {at: 100, rerun: Failed}]
"""
BEFORE_N = """
nodes:
- {name: up, job: J}
- {name: other, allowFailure: true, job: J}
- {name: bad, dependsOn: [n], job: J}
- name: n
  dependsOn: [up, "other:Done"]
"""
UP_TWICE = """
failurePolicy: Continue
nodes:
- {name: up, job: J}
- {name: bad, dependsOn: [n], job: J}
- name: n
  dependsOn: ["up:Done"]
"""
UP_FAILS_ONCE = """
events: [{node: up, attempt: 1, exitCode: 1}, {node: bad, exitCode: 1}]
actions: [{at: 2.5, stop: Terminate}, {at: 100, rerun: Failed}]
"""
CACHED = """
parallelism: 1
nodes:
- {name: long, job: J}
- {name: p, wait: {seconds: 2}}
- name: n
  dependsOn: [p]
"""
CASES = {
    "the item that a graph was given": (
        """
nodes:
- {name: n, forEach: {items: "['x', 'y']"}, graph: {name: g, parameters: {b: "${{ item }}"}}}
- {name: bad, dependsOn: [n], job: J}
"""
        + INNER,
        "events: [{node: bad, exitCode: 1}]",
    ),
    "the list that a graph was given": (
        """
        nodes:
        - {name: n, forEach: {items: "[['p', 'q'], ['r']]"}, graph: {name: g, parameters: {b: "${{ item }}"}}}
        - {name: bad, dependsOn: [n], job: J}
        graphs:
        - name: g
          parameters: [{name: b, type: array}]
          nodes: [{name: a, forEach: {items: params.b}, job: J(item), compensate: {job: J(item)}}]
        """,
        "events: [{node: bad, exitCode: 1}]",
    ),
    "an item that a rerun kept": (
        BEFORE_N + """  forEach: {items: "['x', 'y']"}\n  job: J\n  compensate: {job: J(item)}\n""", KEPT_ITEMS,
    ),
    "an item with nulls in it": (
        BEFORE_N + """  forEach: {items: "[{'x': null}, {}]"}\n  job: J\n  compensate: {job: J(item)}\n""", KEPT_ITEMS,
    ),
    "doubles that are whole": (
        """
        nodes:
        - {name: a, expr: {half: "2.5 * 2.0", huge: "1e16 * 1.0", none: "null"}}
        - {name: n, forEach: {range: 2}, expr: {x: "[double(index)]"}}
        - {name: p, dependsOn: [a, n], wait: {seconds: 2}}
        - name: q
          dependsOn: [p]
          job: J([nodes.a.outputs.half / 2, nodes.n.outputs.x[1][0] / 2, nodes.a.outputs.huge / 3])
        finally: [{name: f, wait: {seconds: 1}}]
        outputs: [{name: half, value: nodes.a.outputs.half}, {name: halves, value: nodes.n.outputs}]
        """,
        "",
    ),
    "a batch that a rerun kept": (
        BEFORE_N + """  forEach: {range: 5, batchSize: 3}\n  job: J\n  compensate: {job: J(item)}\n""", KEPT_ITEMS,
    ),
    "the parameters of an item that a rerun kept": (
        BEFORE_N + """  forEach: {items: "['x', 'y']"}\n  graph: {name: g, parameters: {b: "${{ item }}"}}\n""" + INNER,
        KEPT_ITEMS,
    ),
    "a list that would be another now": (
        UP_TWICE
        + """  forEach: {items: "nodes.up.phase == 'Failed' ? ['x', 'y'] : ['p', 'q']"}
  job: J
  compensate: {job: J(item)}
""",
        UP_FAILS_ONCE,
    ),
    "parameters that would be others now": (
        UP_TWICE + """  graph: {name: g, parameters: {b: "${{ nodes.up.phase }}"}}\n""" + INNER, UP_FAILS_ONCE,
    ),
    "what a round's parameters were made from": (
        """
nodes:
- {name: slow, job: J}
- {name: quick, job: J}
- {name: bad, dependsOn: [n], job: J}
- name: n
  dependsOn: [slow, quick]
  join: Any
  while: {condition: iteration < 2}
  graph: {name: g, parameters: {b: "${{ nodes.slow.phase }}"}}
"""
        + INNER,
        "events: [{node: slow, durationSeconds: 2.5}, {node: bad, exitCode: 1}]",
    ),
    "what the graph of a compensation was given": (
        """
        nodes:
        - name: n
          while: {condition: iteration < 1}
          job: J
          compensate: {graph: {name: g, parameters: {p: "${{ previous.n }}"}}}
        - {name: bad, dependsOn: [n], job: J}
        graphs:
        - name: g
          parameters: [{name: p, type: integer}]
          nodes: [{name: a, job: J(params.p)}, {name: b, dependsOn: [a], job: J(params.p)}]
        """,
        "events: [{node: n, outputs: {n: 7}}, {node: bad, exitCode: 1}]",
    ),
    "a round that came from the cache": (
        CACHED
        + """  while: {condition: previous.n < 3, maxIterations: 5}
  cache: {key: "iteration == 0 ? 'zero' : string(iteration) + '/' + string(run.attempt)"}
  job: J(iteration == 0 ? 0 : previous.n)
""",
        """
        events:
        - {node: long, attempt: 1}
        - {node: long, attempt: 2, durationSeconds: 20}
        - {node: n, iteration: 0, outputs: {n: 1}}
        - {node: n, iteration: 1, outputs: {n: 2}}
        - {node: n, iteration: 2, outputs: {n: 3}}
        actions: [{at: 100, rerun: All}, {at: 106, suspend: true}, {at: 107, suspend: false}]
        """,
    ),
    "an item that came from the cache": (
        CACHED
        + """  forEach: {range: 3}
  cache: {key: "index == 0 ? 'zero' : string(index) + '/' + string(run.attempt)"}
  job: J
""",
        """
        events: [{node: long, attempt: 1}, {node: long, attempt: 2, durationSeconds: 20, exitCode: 1}]
        actions: [{at: 100, rerun: All}, {at: 106, suspend: true}, {at: 107, suspend: false}]
        """,
    ),
    "the exit code of a forEach that still runs": (
        """
        failurePolicy: Continue
        nodes:
        - {name: n, forEach: {range: 2}, job: J}
        - {name: h, dependsOn: ["n:Failed"], job: J(nodes.n.exitCode)}
        """,
        "events: [{node: n, index: 0, exitCode: 7}, {node: n, index: 1, durationSeconds: 9}]",
    ),
    "the failures of a run whose compensations fail": (
        """
        nodes: [{name: n, forEach: {range: 3}, job: J, compensate: {job: J}}]
        finally: [{name: f, job: J(run.failures)}]
        """,
        """
        events:
        - {node: n, role: compensate, index: 2, exitCode: 1}
        - {node: n, index: 1, exitCode: 7, durationSeconds: 3}
        """,
    ),
    "a forEach that was skipped though a rerun had kept items": (
        """
        nodes:
        - {name: a, job: J, allowFailure: true}
        - {name: n, dependsOn: [a], forEach: {range: 2}, job: J}
        finally: [{name: f, job: J}]
        """,
        """
        events:
        - {node: a, attempt: 1, exitCode: 1}
        - {node: a, attempt: 2, durationSeconds: 9}
        - {node: n, index: 1, exitCode: 1, durationSeconds: 3}
        - {node: n, outputs: {x: 1}}
        - {node: f, durationSeconds: 60}
        actions: [{at: 100, rerun: Failed}, {at: 105, stop: Cancel}]
        """,
    ),
    "a forEach that failed before it began though a rerun had kept items": (
        """
        nodes:
        - {name: n, forEach: {range: "run.attempt == 1 ? 2 : {}.nothing"}, job: J}
        finally: [{name: f, job: J(nodes.n.outputs)}]
        """,
        """
        events: [{node: n, index: 1, exitCode: 1, durationSeconds: 3}, {node: n, outputs: {x: 1}}]
        actions: [{at: 100, rerun: Failed}]
        """,
    ),
    "what people were asked": (
        """
        nodes:
        - {name: slow, job: J}
        - {name: quick, job: J}
        - name: ok
          dependsOn: [quick, slow]
          join: Any
          approval: {message: "slow is ${{ nodes.slow.phase }}", quorum: 3}
        """,
        """
        events: [{node: slow, durationSeconds: 5}]
        approvals: [{node: ok, at: 3, by: ann, decision: Approve}, {node: ok, at: 7, by: bob, decision: Approve}]
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_a_restart_loses_nothing(name: str, form: str) -> None:
    for seed in range(6):
        check(case(*CASES[name]), one_in(1 + seed % 3, seed), form=form)


@pytest.mark.parametrize("name", CASES)
def test_nor_does_a_single_one(name: str) -> None:
    for second in (0, 1, 2, 3, 5, 100, 101, 103, 105, 106):
        check(case(*CASES[name]), at(float(second)))
