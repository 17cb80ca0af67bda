"""Frozen specs: made once, compiled once, kept as long as anybody names them."""

import asyncio
from typing import Any

import pytest
from support.clock import at_once, settle
from support.fakeapi import FakeApi
from support.manifests import run, workflow
from weft.api.objects import Key, Obj
from weft.controllers.compiler import Compiler
from weft.controllers.revisions import RevisionNameTaken, Revisions, revisions_named
from weft.graph.compile import InvalidWorkflow
from weft.graph.types import used_types
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.errors import Invalid, NotFound, OutcomeUnknown
from weft.kube.realm import Realm
from weft.kube.resources import CONTROLLER_REVISIONS
from weft.kube.transport import Dropped

JOB = {"job": {"image": "i"}}
SPEC: dict[str, Any] = {"nodes": [{"name": "a", **JOB}]}
TYPES = {"fetch": JOB, "other": JOB}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def revisions(api: FakeApi) -> Revisions:
    return new(api.client())


def new(client: Client) -> Revisions:
    return Revisions(client, Compiler(at_once, spawn=spawn), realm=Realm())


def stored(api: FakeApi) -> list[str]:
    return sorted(each["metadata"]["name"] for each in api.all(CONTROLLER_REVISIONS))


async def test_the_same_content_is_one_revision(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "listing", SPEC, {})
    assert await revisions.freeze("ns", "listing", {"nodes": list(SPEC["nodes"])}, TYPES) == name
    assert await new(api.client()).freeze("ns", "listing", SPEC, {}) == name
    (revision,) = api.all(CONTROLLER_REVISIONS)
    assert revision["data"] == {"workflow": SPEC, "nodeTypes": {}}
    assert revision["metadata"]["labels"] == {"weft.dev/workflow": "listing", "app.kubernetes.io/managed-by": "weft"}
    assert "ownerReferences" not in revision["metadata"]
    assert name.startswith("listing-")
    assert len(api.asked("POST", "controllerrevisions")) == 2, "what this operator has made it does not make again"


async def test_other_content_another_workflow_and_another_namespace_are_others(
    api: FakeApi, revisions: Revisions
) -> None:
    other = {"nodes": [{"name": "b", **JOB}]}
    await revisions.freeze("ns", "w", SPEC, {})
    await revisions.freeze("ns", "w", other, {})
    await revisions.freeze("ns", "v", SPEC, {})
    await revisions.freeze("two", "w", SPEC, {})
    await revisions.freeze("ns", "", SPEC, {})
    assert len(api.all(CONTROLLER_REVISIONS)) == 5


async def test_the_types_it_uses_are_frozen_with_it(api: FakeApi, revisions: Revisions) -> None:
    spec = {"nodes": [{"name": "a", "use": {"name": "fetch"}}]}
    name = await revisions.freeze("ns", "w", spec, TYPES)
    assert api.all(CONTROLLER_REVISIONS)[0]["data"]["nodeTypes"] == {"fetch": JOB}
    changed = await revisions.freeze("ns", "w", spec, {"fetch": {"job": {"image": "newer"}}})
    assert changed != name
    compiled = await revisions.load("ns", name)
    assert compiled.main.nodes[0].body.node_type == "fetch"


def test_types_are_found_in_every_place_a_body_can_stand() -> None:
    use = {
        "nodes": [{"name": "a", "use": {"name": "one"}}, {"name": "b", "compensate": {"use": {"name": "two"}}}],
        "finally": [{"name": "c", "use": {"name": "three"}}],
        "graphs": [{"name": "g", "nodes": [{"name": "d", "use": {"name": "four"}}]}],
    }
    assert used_types(use) == {"one", "two", "three", "four"}


async def test_a_name_that_holds_something_else_is_not_taken_for_ours(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "w", SPEC, {})
    api.remove(CONTROLLER_REVISIONS, "ns", name)
    foreign = {"kind": "ControllerRevision", "metadata": {"namespace": "ns", "name": name}, "data": {"evil": 1}}
    api.add(foreign)
    fresh = new(api.client())
    longer = await fresh.freeze("ns", "w", SPEC, {})
    assert longer.startswith(name)
    assert longer != name
    assert (await fresh.load("ns", longer)).spec == SPEC
    api.remove(CONTROLLER_REVISIONS, "ns", longer)
    foreign["metadata"]["name"] = longer
    api.add(foreign)
    with pytest.raises(RevisionNameTaken, match=longer):
        await new(api.client()).freeze("ns", "w", SPEC, {})


@pytest.mark.parametrize(("name", "length"), [("w" * 253, 253), ("w" * 241 + "." + "w" * 10, 252)])
async def test_long_workflow_names_are_cut_to_names_that_the_server_takes(
    api: FakeApi, revisions: Revisions, name: str, length: int
) -> None:
    made = await revisions.freeze("ns", name, SPEC, {})
    assert len(made) == length
    assert ".-" not in made


async def test_a_create_that_was_lost_on_the_way_is_found_again(api: FakeApi, revisions: Revisions) -> None:
    api.fail(Dropped("cut"), method="POST", after=True)
    assert [await api.clock.run(revisions.freeze("ns", "w", SPEC, {}))] == stored(api)


async def test_a_failed_create_is_not_taken_for_made(api: FakeApi) -> None:
    revisions = new(api.client(attempts=1))
    api.fail(Dropped("cut"), method="POST")
    with pytest.raises(OutcomeUnknown):
        await revisions.freeze("ns", "w", SPEC, {})
    assert [await revisions.freeze("ns", "w", SPEC, {})] == stored(api)


async def test_many_runs_compile_it_once(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "w", SPEC, {})
    first, *others = await asyncio.gather(*(revisions.load("ns", name) for _ in range(10)))
    assert all(each is first for each in others)
    assert first.name == "w"
    assert len(api.asked("GET", "controllerrevisions")) == 1


async def test_the_least_used_are_compiled_again(
    api: FakeApi, revisions: Revisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.controllers.revisions.CAPACITY", 1)
    one = await revisions.freeze("ns", "one", SPEC, {})
    two = await revisions.freeze("ns", "two", SPEC, {})
    for name in (one, two, two, one):
        await revisions.load("ns", name)
    assert len(api.asked("GET", "controllerrevisions")) == 3


async def test_those_that_are_kept_compiled_are_bounded_by_their_size_too(
    api: FakeApi, revisions: Revisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.controllers.revisions.CAPACITY_BYTES", 10_000)
    spoken = [SPEC | {"description": f"{number}" + "x" * 4000} for number in range(3)]
    names = [await revisions.freeze("ns", f"w{number}", spec, {}) for number, spec in enumerate(spoken)]
    await loads(api, revisions, [names[0], names[1], names[0], names[1]], asked=2)
    await loads(api, revisions, [names[2], names[1], names[2]], asked=1)
    await loads(api, revisions, [names[0]], asked=1)
    condition = f"'{'x' * 2000}' == ''"  # compiled it takes far more than a description of that length
    dense = await revisions.freeze("ns", "dense", {"nodes": [{"name": "a", "when": condition, **JOB}]}, {})
    await loads(api, revisions, [names[0], dense, names[0], dense], asked=3)


async def loads(api: FakeApi, revisions: Revisions, names: list[str], *, asked: int) -> None:
    before = len(api.asked("GET", "controllerrevisions"))
    for name in names:
        await revisions.load("ns", name)
    assert len(api.asked("GET", "controllerrevisions")) - before == asked


async def test_what_cannot_be_loaded_says_why(api: FakeApi, revisions: Revisions) -> None:
    with pytest.raises(NotFound):
        await revisions.load("ns", "gone-x")
    broken = await revisions.freeze("ns", "w", {"nodes": [{"name": "a"}]}, {})
    with pytest.raises(InvalidWorkflow, match=r"spec\.nodes\[0\]"):
        await revisions.load("ns", broken)
    cyclic = await revisions.freeze("ns", "w", {"nodes": [{"name": "a", "dependsOn": ["a"], **JOB}]}, {})
    with pytest.raises(InvalidWorkflow, match="a -> a"):
        await revisions.load("ns", cyclic)
    untyped = await revisions.freeze("ns", "w", {"nodes": [{"name": "a", "use": {"name": "t"}}]}, {"t": {"job": 1}})
    with pytest.raises(InvalidWorkflow, match=r"NodeType t: "):
        await revisions.load("ns", untyped)


async def test_only_those_without_a_name_in_two_sweeps_go(api: FakeApi, revisions: Revisions) -> None:
    names = [await revisions.freeze("ns", name, SPEC, {}) for name in ("kept", "gone")]
    restarted = new(api.client())
    in_use = {Key("ns", names[0])}
    await restarted.sweep(lambda: in_use)
    assert stored(api) == sorted(names)
    await restarted.sweep(lambda: in_use)
    assert stored(api) == [names[0]]


async def test_a_sweep_reads_no_spec(api: FakeApi, revisions: Revisions) -> None:
    await revisions.freeze("ns", "w", SPEC, {})
    await revisions.sweep(set)
    (asked,) = api.asked("GET", "controllerrevisions")
    assert "as=PartialObjectMetadataList" in asked.headers["Accept"]


async def test_one_that_was_handed_out_since_the_last_sweep_is_spared(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "w", SPEC, {})
    for _ in range(4):
        await revisions.sweep(set)
        assert stored(api) == [name]
        await revisions.freeze("ns", "w", SPEC, {})
    for _ in range(3):
        await revisions.sweep(set)
    assert stored(api) == []
    assert await revisions.freeze("ns", "w", SPEC, {}) == name
    assert stored(api) == [name]


async def sweep_while_a_run_starts(api: FakeApi, revisions: Revisions) -> None:
    """Sweep while nobody names a revision; one is asked for once everything has been listed."""

    async def run_starts(asked: Any) -> None:
        if asked.method == "GET" and not asked.name:
            await revisions.freeze("ns", "w", SPEC, {})

    api.after.append(run_starts)
    await revisions.sweep(set)
    api.after.clear()


async def test_one_that_is_handed_out_during_the_sweep_is_spared(api: FakeApi) -> None:
    await new(api.client()).freeze("ns", "w", SPEC, {})
    revisions = new(api.client())
    await revisions.sweep(set)

    await sweep_while_a_run_starts(api, revisions)
    assert len(stored(api)) == 1


async def test_one_that_is_wanted_while_it_is_being_deleted_is_made_again(api: FakeApi) -> None:
    name = await new(api.client()).freeze("ns", "w", SPEC, {})
    revisions = new(api.client())
    await revisions.load("ns", name)
    await revisions.sweep(set)
    starting: list[asyncio.Task[str]] = []

    async def run_starts(asked: Any) -> None:
        if asked.method == "DELETE":
            starting.append(asyncio.create_task(revisions.freeze("ns", "w", SPEC, {})))
            await settle()

    api.before.append(run_starts)
    await revisions.sweep(set)
    assert [await task for task in starting] == stored(api) == [name]


async def test_one_that_somebody_deleted_is_made_again(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "w", SPEC, {})
    api.remove(CONTROLLER_REVISIONS, "ns", name)
    with pytest.raises(NotFound):
        await revisions.load("ns", name)
    await revisions.freeze("ns", "w", SPEC, {})
    assert (await revisions.load("ns", name)).spec == SPEC


async def test_one_that_somebody_deleted_is_made_again_after_a_sweep(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "w", SPEC, {})
    await revisions.load("ns", name)
    await revisions.freeze("ns", "w", SPEC, {})
    api.remove(CONTROLLER_REVISIONS, "ns", name)
    await revisions.sweep(lambda: {Key("ns", name)})
    await revisions.freeze("ns", "w", SPEC, {})
    assert stored(api) == [name]


async def test_one_that_is_made_during_a_sweep_is_not_asked_for_again(api: FakeApi, revisions: Revisions) -> None:
    await sweep_while_a_run_starts(api, revisions)
    asked = len(api.requests)
    await revisions.freeze("ns", "w", SPEC, {})
    assert len(api.requests) == asked


async def test_what_is_asked_after_a_runs_end_is_given_without_compiling_and_no_more_of_it_is_kept(
    api: FakeApi, revisions: Revisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.controllers.revisions.CAPACITY", 1)
    asked_for: list[Obj] = [{"ttlSecondsAfterFinished": 5}, {"jobs": {"keep": "All"}, "notifications": [1]}]
    names = [await revisions.freeze("ns", "w", {"nodes": "no list"} | spec, {}) for spec in asked_for]
    assert [await revisions.spec("ns", name) for name in [*names, *names]] == asked_for * 2
    assert list(revisions._specs.values()) == asked_for[1:]
    valid = await revisions.freeze("ns", "w", SPEC | {"ttlSecondsAfterFinished": 7}, {})
    await revisions.load("ns", valid)
    asked = len(api.requests)
    assert await revisions.spec("ns", valid) == {"ttlSecondsAfterFinished": 7}
    assert len(api.requests) == asked


async def test_one_that_was_deleted_and_made_again_during_the_sweep_stays(api: FakeApi) -> None:
    name = await new(api.client()).freeze("ns", "w", SPEC, {})
    revisions = new(api.client())
    await revisions.sweep(set)

    async def made_again(asked: Any) -> None:
        if asked.method == "DELETE":
            api.before.clear()
            api.remove(CONTROLLER_REVISIONS, "ns", name)
            await new(api.client()).freeze("ns", "w", SPEC, {})

    api.before.append(made_again)
    await revisions.sweep(set)
    assert stored(api) == [name]


async def test_foreign_revisions_are_left_alone(api: FakeApi, revisions: Revisions) -> None:
    api.add({"kind": "ControllerRevision", "metadata": {"namespace": "ns", "name": "sts-1"}, "data": {}})
    for _ in range(3):
        await revisions.sweep(set)
    assert stored(api) == ["sts-1"]


async def test_frozen_data_cannot_be_changed(api: FakeApi, revisions: Revisions) -> None:
    name = await revisions.freeze("ns", "w", SPEC, {})
    with pytest.raises(Invalid):
        await api.client().patch(CONTROLLER_REVISIONS, name, {"data": {"workflow": {"nodes": []}}}, namespace="ns")


def test_runs_and_workflows_name_revisions() -> None:
    named = revisions_named([run("a", workflowRevision="w-1"), run("b")], [workflow("w", revision="w-2"), workflow()])
    assert named == {Key("ns", "w-1"), Key("ns", "w-2")}


async def test_one_that_somebody_deleted_is_made_anew_for_those_that_name_it(api: FakeApi) -> None:
    """Its Workflow may hold something else by now, and its runs go on."""
    spec = {"nodes": [{"name": "a", "use": {"name": "fetch"}}]}
    name = await new(api.client()).freeze("ns", "w", spec, TYPES)
    other = await new(api.client()).freeze("ns", "", SPEC, {})
    before = {each["metadata"]["name"]: each for each in api.all(CONTROLLER_REVISIONS)}
    revisions = new(api.client())
    for each in (name, other):
        await revisions.load("ns", each)
        api.remove(CONTROLLER_REVISIONS, "ns", each)
    await revisions.sweep(lambda: {Key("ns", name)})
    assert stored(api) == [name]
    await revisions.sweep(lambda: {Key("ns", name), Key("ns", other)})
    for each in (name, other):
        found = api.read(CONTROLLER_REVISIONS, "ns", each)
        assert found is not None
        assert found["data"] == before[each]["data"]
        assert found["metadata"]["labels"] == before[each]["metadata"]["labels"]
    asked = len(api.asked("POST", "controllerrevisions"))
    await revisions.freeze("ns", "w", spec, TYPES)
    assert len(api.asked("POST", "controllerrevisions")) == asked


async def test_one_that_was_freshly_compiled_is_not_missed(api: FakeApi, revisions: Revisions) -> None:
    """It was made after the list was."""
    name = await new(api.client()).freeze("ns", "w", SPEC, {})

    async def loaded(asked: Any) -> None:
        if asked.method == "GET" and not asked.name:
            await revisions.load("ns", name)

    api.after.append(loaded)
    await revisions.sweep(lambda: {Key("ns", name)})
    assert api.asked("POST", "controllerrevisions")[1:] == []


async def test_one_that_cannot_be_made_anew_does_not_keep_the_others_from_being_swept(
    api: FakeApi, revisions: Revisions
) -> None:
    kept, _ = [await revisions.freeze("ns", name, SPEC, {}) for name in ("kept", "gone")]
    await revisions.load("ns", kept)
    in_use = {Key("ns", kept)}
    await revisions.sweep(lambda: in_use)
    api.remove(CONTROLLER_REVISIONS, "ns", kept)
    api.fail(403, method="POST", times=2)
    for _ in range(2):
        await revisions.sweep(lambda: in_use)
    assert stored(api) == []
    await revisions.sweep(lambda: in_use)
    assert stored(api) == [kept]
