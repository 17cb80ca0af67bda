"""One table: failure policy x how a failure is met x compensation x finally, each a whole tiny run.

first 0-1 -> bad (fails) 1-2 -> handler
          -> slow 1-4 -> next
"""

from itertools import product

import pytest
from support.simulation import simulate

HANDLERS = {
    "uncaught": "",
    "allowed": "",
    "caught": "- {name: handler, dependsOn: ['bad:Failed'], job: J}",
    "handler fails": "- {name: handler, dependsOn: ['bad:Failed'], job: J}",
    "handler skipped": "- {name: handler, dependsOn: ['bad:Failed'], when: 'false', job: J}",
    "seen, not caught": "- {name: handler, dependsOn: ['bad:Done'], job: J}",
}

DRAINED = {"slow": "Succeeded 1-4", "next": "Skipped(RunFailed)"}
CANCELLED = {"slow": "Cancelled(RunFailed) 1-2", "next": "Skipped(UpstreamFailed)"}
WHOLE = {"slow": "Succeeded 1-4", "next": "Succeeded 4-5"}
RAN, FAILED = {"handler": "Succeeded 2-3"}, {"handler": "Failed(Error) 2-3"}
SKIPPED = {"handler": "Skipped(ConditionFalse)"}

# (policy, how the failure is met): (nodes besides first and bad, outcome, when the graph ends)
TABLE = {
    ("Drain", "uncaught"): (DRAINED, "Failed(NodeFailed)", 4),
    ("Drain", "allowed"): (WHOLE, "Succeeded(Succeeded)", 5),
    ("Drain", "caught"): (WHOLE | RAN, "Succeeded(Succeeded)", 5),
    ("Drain", "handler fails"): (DRAINED | FAILED, "Failed(NodeFailed)", 4),
    ("Drain", "handler skipped"): (DRAINED | SKIPPED, "Failed(NodeFailed)", 4),
    ("Drain", "seen, not caught"): (DRAINED | RAN, "Failed(NodeFailed)", 4),
    ("Cancel", "uncaught"): (CANCELLED, "Failed(NodeFailed)", 2),
    ("Cancel", "allowed"): (WHOLE, "Succeeded(Succeeded)", 5),
    ("Cancel", "caught"): (WHOLE | RAN, "Succeeded(Succeeded)", 5),
    ("Cancel", "handler fails"): (CANCELLED | {"slow": "Cancelled(RunFailed) 1-3"} | FAILED, "Failed(NodeFailed)", 3),
    ("Cancel", "handler skipped"): (CANCELLED | SKIPPED, "Failed(NodeFailed)", 2),
    ("Cancel", "seen, not caught"): (CANCELLED | RAN, "Failed(NodeFailed)", 3),
    ("Continue", "uncaught"): (WHOLE, "Failed(NodeFailed)", 5),
    ("Continue", "allowed"): (WHOLE, "Succeeded(Succeeded)", 5),
    ("Continue", "caught"): (WHOLE | RAN, "Succeeded(Succeeded)", 5),
    ("Continue", "handler fails"): (WHOLE | FAILED, "Failed(NodeFailed)", 5),
    ("Continue", "handler skipped"): (WHOLE | SKIPPED, "Failed(NodeFailed)", 5),
    ("Continue", "seen, not caught"): (WHOLE | RAN, "Failed(NodeFailed)", 5),
}


def test_the_table_has_every_case() -> None:
    assert TABLE.keys() == set(product(("Drain", "Cancel", "Continue"), HANDLERS))


@pytest.mark.parametrize("with_finally", [False, True], ids=["", "finally"])
@pytest.mark.parametrize("undone", [False, True], ids=["", "compensate"])
@pytest.mark.parametrize(("policy", "met"), TABLE, ids=" ".join)
def test_what_becomes_of_a_failure(policy: str, met: str, undone: bool, with_finally: bool) -> None:
    others, outcome, end = TABLE[policy, met]
    ran = simulate(
        f"""
        failurePolicy: {policy}
        nodes:
        - {{name: first, job: J{", compensate: {job: J}" if undone else ""}}}
        - {{name: bad, dependsOn: [first], job: J, allowFailure: {"true" if met == "allowed" else "false"}}}
        - {{name: slow, dependsOn: [first], job: J}}
        - {{name: next, dependsOn: [slow], job: J}}
        {HANDLERS[met]}
        finally: {"[{name: report, job: J}]" if with_finally else "[]"}
        """,
        f"""
        events:
        - {{node: bad, exitCode: 1}}
        - {{node: slow, durationSeconds: 3}}
        - {{node: handler, exitCode: {1 if met == "handler fails" else 0}}}
        """,
    )
    want = {"first": "Succeeded 0-1", "bad": "Failed(Error) 1-2", **others}
    if undone and outcome.startswith("Failed"):
        want["first"] = "Compensated(Compensated) 0-1"
        end += 1
    if with_finally:
        want["report"] = f"Succeeded {end}-{end + 1}"
        end += 1
    assert ran.nodes == want
    assert ran.outcome == f"{outcome} {end}"
