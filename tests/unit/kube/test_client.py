import random

import pytest
from support.clock import VirtualClock
from support.transport import ScriptedTransport, ok, status
from weft.kube import errors
from weft.kube.client import Client, PatchType
from weft.kube.limiter import Limiter, Priority
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS
from weft.kube.transport import Dropped, NotSent, Response, Stalled
from weft.metrics import Metrics

POD = {"metadata": {"namespace": "ns", "name": "a"}}


class World:
    def __init__(self, *answers, **options):
        self.transport = ScriptedTransport(list(answers))
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.limiter = Limiter(maximum=8, metrics=self.metrics)
        self.client = Client(
            self.transport,
            clock=self.clock,
            rng=random.Random(1),
            metrics=self.metrics,
            limiter=self.limiter,
            **options,
        )

    async def run(self, work):
        return await self.clock.run(work)

    @property
    def in_flight(self):
        return self.metrics.registry.get_sample_value("weft_api_writes_in_flight")

    @property
    def only(self):
        (request,) = self.transport.requests
        return request


async def test_get_reads_the_objects_path():
    world = World(ok({"kind": "Pod"}))
    assert await world.run(world.client.get(PODS, "a", namespace="ns")) == {"kind": "Pod"}
    assert (world.only.method, world.only.path) == ("GET", "/api/v1/namespaces/ns/pods/a")


async def test_list_follows_pages_and_completes_items():
    world = World(
        ok({"metadata": {"continue": "next"}, "items": [{"metadata": {"name": "a"}}]}),
        ok({"metadata": {}, "items": [{"metadata": {"name": "b"}}]}),
    )
    items = await world.run(world.client.list(JOBS, namespace="ns", label_selector="x=y"))
    assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in items] == [
        ("Job", "batch/v1", "a"),
        ("Job", "batch/v1", "b"),
    ]
    first, second = world.transport.requests
    assert first.path == "/apis/batch/v1/namespaces/ns/jobs"
    assert first.params == {"labelSelector": "x=y", "limit": "500"}
    assert second.params["continue"] == "next"


async def test_a_page_may_be_of_what_a_field_picks_out():
    world = World(ok({"metadata": {}, "items": []}))
    await world.run(world.client.page(PODS, namespace="ns", field_selector="a.b=c"))
    assert world.only.params == {"fieldSelector": "a.b=c", "limit": "500"}


async def test_create_posts_into_the_objects_namespace():
    world = World(ok(POD, code=201))
    await world.run(world.client.create(PODS, POD))
    assert (world.only.method, world.only.path, world.only.body) == ("POST", "/api/v1/namespaces/ns/pods", POD)
    assert world.only.content_type == "application/json"


@pytest.mark.parametrize(
    ("patch_type", "content_type", "params"),
    [
        (PatchType.MERGE, "application/merge-patch+json", {"fieldManager": "weft"}),
        (PatchType.JSON, "application/json-patch+json", {"fieldManager": "weft"}),
        (PatchType.APPLY, "application/apply-patch+yaml", {"fieldManager": "weft", "force": "true"}),
    ],
)
async def test_a_patch_says_how_it_is_meant(patch_type, content_type, params):
    world = World(ok(POD))
    await world.run(world.client.patch(PODS, "a", {}, namespace="ns", patch_type=patch_type))
    assert (world.only.content_type, world.only.params) == (content_type, params)


async def test_patch_status_writes_the_subresource():
    world = World(ok({}))
    await world.run(world.client.patch_status(WORKFLOW_RUNS, "r", {"status": {"progress": "1/2"}}, namespace="ns"))
    assert world.only.path == "/apis/weft.dev/v1alpha1/namespaces/ns/workflowruns/r/status"
    assert world.only.body == {"status": {"progress": "1/2"}}


async def test_delete_can_be_held_to_one_uid_and_does_not_mind_that_it_is_gone():
    world = World(ok({}), status(404, "NotFound"))
    assert await world.run(world.client.delete(PODS, "a", namespace="ns", uid="u")) is True
    assert await world.run(world.client.delete(PODS, "a", namespace="ns")) is False
    options = world.transport.requests[0].body
    assert options["preconditions"] == {"uid": "u"}
    assert options["propagationPolicy"] == "Background"


async def test_an_impersonating_client_says_so_in_each_request():
    world = World(ok({}), ok({}))
    await world.run(world.client.acting_as("system:serviceaccount:ns:sa").get(PODS, "a", namespace="ns"))
    await world.run(world.client.get(PODS, "a", namespace="ns"))
    assert [request.headers for request in world.transport.requests] == [
        {"Impersonate-User": "system:serviceaccount:ns:sa"},
        {},
    ]


async def test_a_client_of_metadata_asks_for_nothing_else_where_the_server_knows_it():
    world = World(ok({"items": []}), ok({"items": []}))
    await world.run(world.client.of_metadata().list(PODS))
    await world.run(world.client.list(PODS))
    wanted = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
    assert [request.headers for request in world.transport.requests] == [{"Accept": wanted}, {}]


def get(client):
    return client.get(PODS, "a", namespace="ns")


def create(client):
    return client.create(PODS, POD)


def create_unnamed(client):
    return client.create(PODS, {"metadata": {"namespace": "ns", "generateName": "a-"}})


def delete(client):
    return client.delete(PODS, "a", namespace="ns")


def merge(client):
    return client.patch(PODS, "a", {"metadata": {"resourceVersion": "7"}}, namespace="ns")


def json_patch(client):
    return client.patch(
        PODS, "a", [{"op": "add", "path": "/x/-", "value": 1}], namespace="ns", patch_type=PatchType.JSON
    )


def guarded_json_patch(client):
    ops = [{"op": "test", "path": "/x", "value": 1}, {"op": "remove", "path": "/x"}]
    return client.patch(PODS, "a", ops, namespace="ns", patch_type=PatchType.JSON)


SAFE = [get, create, delete, merge, guarded_json_patch]
UNSAFE = [create_unnamed, json_patch]
NOTHING_DONE = [status(429), NotSent("refused")]
PERHAPS_DONE = [
    status(500),
    status(503),
    Response(200, b"[]"),
    Dropped("reset"),
    Stalled("late"),
    Response(200, b'{"half'),
]


@pytest.mark.parametrize("failure", NOTHING_DONE, ids=str)
@pytest.mark.parametrize("call", SAFE + UNSAFE)
async def test_what_was_not_done_is_sent_again(call, failure):
    world = World(failure, ok(POD))
    assert await world.run(call(world.client))
    assert len(world.transport.requests) == 2


@pytest.mark.parametrize("failure", PERHAPS_DONE, ids=str)
@pytest.mark.parametrize("call", SAFE)
async def test_what_may_be_done_twice_is_sent_again_when_the_outcome_is_unknown(call, failure):
    world = World(failure, ok(POD))
    assert await world.run(call(world.client))
    assert len(world.transport.requests) == 2


@pytest.mark.parametrize("failure", PERHAPS_DONE, ids=str)
@pytest.mark.parametrize("call", UNSAFE)
async def test_what_must_not_be_done_twice_is_left_to_the_caller(call, failure):
    world = World(failure)
    with pytest.raises((errors.OutcomeUnknown, errors.ServerError)):
        await world.run(call(world.client))
    assert len(world.transport.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(400), errors.BadRequest),
        (status(403, "Forbidden"), errors.Forbidden),
        (status(404, "NotFound"), errors.NotFound),
        (status(409, "AlreadyExists"), errors.AlreadyExists),
        (status(410, "Expired"), errors.Gone),
        (status(422, "Invalid"), errors.Invalid),
    ],
)
@pytest.mark.parametrize("call", [get, create, merge])
async def test_a_clear_no_is_raised_at_once(call, answer, error):
    world = World(answer)
    with pytest.raises(error):
        await world.run(call(world.client))
    assert world.clock.slept == []


async def test_a_version_conflict_of_a_patch_is_the_callers():
    world = World(status(409, "Conflict"))
    with pytest.raises(errors.Conflict):
        await world.run(merge(world.client))


async def test_a_conflict_on_a_create_is_the_quotas_and_is_tried_again():
    world = World(status(409, "Conflict", "cannot be fulfilled on resourcequotas"), ok(POD, code=201))
    assert await world.run(create(world.client)) == POD


async def test_attempts_are_bounded_and_their_pauses_grow():
    world = World(*[NotSent("down")] * 4, attempts=4)
    with pytest.raises(errors.Unreachable, match="down"):
        await world.run(get(world.client))
    assert len(world.clock.slept) == 3
    assert all(low <= slept <= 2 * low for slept, low in zip(world.clock.slept, (0.05, 0.1, 0.2), strict=True))


@pytest.mark.parametrize(("asked", "at_least", "at_most"), [(3, 3.0, 3.1), (3600, 15.0, 15.1)])
async def test_retry_after_is_honoured_within_reason(asked, at_least, at_most):
    world = World(status(429, after=asked), ok({}))
    await world.run(get(world.client))
    assert at_least <= world.clock.slept[0] <= at_most


@pytest.mark.parametrize(
    ("failure", "limit"),
    [(status(429), 4), (Stalled("late"), 4), (status(504), 4), (NotSent("down"), 8), (status(500), 8)],
)
async def test_overload_narrows_the_limiter_and_other_failures_do_not(failure, limit):
    world = World(failure, attempts=1)
    with pytest.raises(errors.ApiError):
        await world.run(merge(world.client))
    assert world.limiter.limit == limit
    assert world.in_flight == 0


async def test_a_slot_is_not_held_during_a_pause():
    world = World(status(429, after=5), ok({}))
    task = world.clock.run(merge(world.client))
    in_flight = []

    async def look(seconds, sleep=world.clock.sleep):
        in_flight.append(world.in_flight)
        await sleep(seconds)

    world.clock.sleep = look
    await task
    assert in_flight == [0]


async def test_urgent_writes_and_reads_pass_a_full_limiter():
    world = World(ok({}), ok({}))
    for _ in range(8):
        await world.limiter.acquire(Priority.START)
    await world.run(get(world.client))
    await world.run(world.client.patch(PODS, "a", {}, namespace="ns", priority=Priority.URGENT))
    with pytest.raises(AssertionError, match="deadlock"):
        await world.run(merge(world.client))


async def test_each_attempt_is_counted_by_its_result():
    world = World(status(429), NotSent("down"), Stalled("late"), ok(POD, code=201))
    await world.run(create(world.client))
    text = world.metrics.exposition().decode()
    for code in ("429", "Unreachable", "TimedOut", "201"):
        assert f'weft_api_calls_total{{code="{code}",resource="pods",verb="create"}} 1.0' in text


async def collect(world, **options):
    options = {"resource_version": "7", "timeout_seconds": 60, "idle_timeout": 75.0} | options
    return [event async for event in world.client.watch(PODS, **options)]


async def test_watch_gives_events_and_asks_for_bookmarks():
    world = World()
    world.transport.streams.append([{"type": "ADDED", "object": POD}, {"type": "BOOKMARK", "object": {}}])
    assert await collect(world, label_selector="x=y") == [("ADDED", POD), ("BOOKMARK", {})]
    assert world.only.params == {
        "labelSelector": "x=y",
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "60",
    }


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}, errors.Gone),
        ({"type": "ERROR", "object": {"code": 500}}, errors.ServerError),
        (b'{"type": "ADD', errors.OutcomeUnknown),
        (Stalled("silence"), errors.TimedOut),
        (Dropped("reset"), errors.OutcomeUnknown),
        (NotSent("down"), errors.Unreachable),
    ],
)
async def test_a_watch_ends_by_the_exception_its_failure_stands_for(line, error):
    world = World()
    world.transport.streams.append([line])
    with pytest.raises(error):
        await collect(world)
