"""`weft approve` and `weft reject`: one person's decision on what a run asks, as an Approval.

Who decides is whom the API server says you are; of your groups only those the question asks for are named (all of them
if the question cannot be read). The Approval is bound to the question as it is asked now: the run's UID, the node with
its place in every loop around it (`price[3]/review`), the rerun. Its name follows from question and person, so that
deciding twice is refused by the API server itself. Then the operator is given a moment to say whether it counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

from weft.api.base import API_VERSION
from weft.api.conditions import Reason
from weft.api.objects import Obj, cut_name, uid_of
from weft.cli import runs
from weft.cli.frozen import frozen_workflow, node_spec
from weft.cli.nodes import Entry, matching, unknown_node
from weft.cli.session import Session, in_cluster
from weft.controllers.run_facts import rerun_known, workflow_of
from weft.kube.errors import AlreadyExists, Forbidden
from weft.kube.resources import APPROVALS, WORKFLOW_RUNS
from weft.render.names import NODE_LABEL, label_value, run_labels, run_reference, short_hash

Decision = Literal["Approve", "Reject"]

POLL_SECONDS, POLLS = 0.2, 25
"""How long the operator is given to say whether a decision counts."""


@dataclass(frozen=True)
class Person:
    """A user as the API server knows him."""

    name: str
    groups: tuple[str, ...] = ()


_run = click.argument("run", metavar="RUN")
_node = click.argument("node", metavar="NODE")
_comment = click.option("-m", "--message", "comment", metavar="TEXT", help="Why, for those who read it later.")


@click.command()
@_run
@_node
@_comment
@in_cluster
def approve(session: Session, run: str, node: str, comment: str | None) -> None:
    """Approve what NODE of RUN asks: review, publish/sign-off, or price[3]/review for an item."""
    decide(session, run, node, "Approve", comment)


@click.command()
@_run
@_node
@_comment
@in_cluster
def reject(session: Session, run: str, node: str, comment: str | None) -> None:
    """Reject what NODE of RUN asks; one rejection is enough."""
    decide(session, run, node, "Reject", comment)


def decide(session: Session, name: str, node: str, decision: Decision, comment: str | None) -> None:
    """Decide on what a node of a run asks, and say what came of it. Raises ClickException and ApiError."""
    cluster = session.cluster
    run = session.find_run(name)
    runs.must_be_active(run, "decided on")
    question = open_question(run, runs.node_entries(cluster, run), node)
    body = node_spec(frozen_workflow(cluster, run), question["name"]).get("approval")
    user, groups = cluster.whoami()
    person = Person(user, tuple(groups))
    named = person.groups if body is None else entitled(person, question["name"], asked_of(body, question))
    approval = approval_of(run, question, person.name, decision, groups=named, comment=comment)
    try:
        _create(session, approval)
    except AlreadyExists:
        raise click.ClickException(_decided_already(session, approval)) from None
    verdict = _verdict(session, approval["metadata"]["name"])
    if verdict is not None and verdict.get("accepted") is False:
        raise click.ClickException(f"the decision does not count: {verdict.get('message') or verdict.get('reason')}")
    verb = "approved" if decision == "Approve" else "rejected"
    click.echo(f"{question['name']} of run {name} is {verb} by {person.name}")
    if verdict is None:
        click.echo("whether it counts is for those to see who may read approvals", err=True)
    elif "accepted" not in verdict:
        click.echo("the operator has not taken the decision up yet; it will when it runs again", err=True)
    elif decision == "Approve" and body is not None:
        now = runs.node_entries(cluster, cluster.get(WORKFLOW_RUNS, name))
        click.echo(still_missing(next(iter(matching(question["name"], now)), {}), person, body.get("quorum", 1)))


def _create(session: Session, approval: Obj) -> None:
    """Create it as the run's, so that it goes with it, or else without an owner: the operator gives it one then.

    Where OwnerReferencesPermissionEnforcement is on, only who may delete Approvals may say whose they are.
    """
    try:
        session.cluster.create(APPROVALS, approval)
    except Forbidden:
        metadata = {name: value for name, value in approval["metadata"].items() if name != "ownerReferences"}
        session.cluster.create(APPROVALS, approval | {"metadata": metadata})


def open_question(run: Obj, entries: Sequence[Entry], path: str) -> Entry:
    """Give the entry of the approval that is asked under that path. Raises ClickException when none is, or several."""
    name = run["metadata"]["name"]
    meant = matching(path, entries)
    if not meant:
        raise click.ClickException(unknown_node(path, name, entries))
    asked = [entry for entry in meant if entry.get("reason") == Reason.AwaitingApproval]
    if len(asked) == 1:
        return asked[0]
    if asked:
        paths = ", ".join(entry["name"] for entry in asked[:5])
        raise click.ClickException(f"{path} is asked {len(asked)} times in run {name}; say which one: {paths}")
    entry = meant[0]
    told = ": ".join(filter(None, (str(entry.get("phase")), entry.get("reason"), entry.get("message"))))
    raise click.ClickException(f"{entry['name']} of run {name} does not wait for an approval ({told})")


def asked_of(body: Mapping[str, Any], question: Entry) -> Mapping[str, Any] | None:
    """Give the users and groups who are asked now (a question may have escalated); None when everybody may decide."""
    levels = [body.get("from"), *(one["from"] for one in body.get("escalation") or ())]
    level = min(question.get("level", 0), len(levels) - 1)
    asked: Mapping[str, Any] | None = levels[level]
    return asked


def approval_of(
    run: Obj, question: Entry, by: str, decision: Decision, *, groups: Sequence[str], comment: str | None
) -> Obj:
    """Give the Approval to create."""
    name, uid, path, generation = run["metadata"]["name"], uid_of(run), question["name"], rerun_known(run)
    spec: Obj = {
        "run": {"name": name, "uid": uid},
        "node": path,
        "rerunGeneration": generation,
        "decision": decision,
        "by": by,
    }
    if groups:
        spec["groups"] = list(groups)
    if comment:
        spec["comment"] = comment
    return {
        "apiVersion": API_VERSION,
        "kind": "Approval",
        "metadata": {
            "name": cut_name(name, f"-{short_hash(f'{uid}/{path}/{generation}/{by}', 10)}"),
            "labels": run_labels(name, workflow_of(run) or "") | {NODE_LABEL: label_value(path)},
            "ownerReferences": [run_reference(name, uid)],
        },
        "spec": spec,
    }


def entitled(person: Person, path: str, asked: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Give the groups a person decides for; raise ClickException when he is not among those who are asked."""
    if asked is None:
        return ()
    users, groups = asked.get("users") or (), asked.get("groups") or ()
    shared = tuple(group for group in groups if group in person.groups)
    if (users or groups) and person.name not in users and not shared:
        who = " and ".join(
            f"{word} {', '.join(names)}" for word, names in (("users", users), ("groups", groups)) if names
        )
        you = f"{person.name}, of {', '.join(person.groups) or 'no group'}"
        raise click.ClickException(f"{path} asks {who}; you are {you}")
    return shared


def still_missing(entry: Entry, person: Person, quorum: int) -> str:
    """Say how many approvals are missing, with this person's, by the entry as it is now."""
    if entry.get("reason") != Reason.AwaitingApproval:
        return "no more approvals are needed"
    people = {made["by"] for made in entry.get("decisions") or () if made["decision"] == "Approve"} | {person.name}
    missing = quorum - len(people)
    if missing <= 0:
        return "no more approvals are needed"
    return f"{missing} more {'approval is' if missing == 1 else 'approvals are'} needed, from others"


def _decided_already(session: Session, approval: Obj) -> str:
    name, spec = approval["metadata"]["name"], approval["spec"]
    try:
        stored = session.cluster.get(APPROVALS, name)
    except Forbidden:
        what = f"{spec['node']} of run {spec['run']['name']}"
        return f"{spec['by']} has decided on {what} already; a decision is made once"
    before, verdict = stored["spec"], stored.get("status") or {}
    if verdict.get("accepted") is False:
        told = f"an earlier decision of {spec['by']} was refused ({verdict.get('message')}); it is kept as evidence"
        mend = "To decide anew, have somebody delete it who may (role admin)"
        return f"{told}. {mend}: kubectl delete approvals {name} -n {session.cluster.namespace}"
    word = "approved" if before.get("decision") == "Approve" else "rejected"
    return f"{spec['by']} has {word} {spec['node']} of run {spec['run']['name']} already; a decision is made once"


def _verdict(session: Session, name: str) -> Mapping[str, Any] | None:
    """The status the operator gives an Approval; {} when it gives none in time, None for who may not read it."""
    for _ in range(POLLS):
        try:
            status: Mapping[str, Any] = session.cluster.get(APPROVALS, name).get("status") or {}
        except Forbidden:
            return None
        if "accepted" in status:
            return status
        session.cluster.sleep(POLL_SECONDS)
    return {}
