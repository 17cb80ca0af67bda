import random

import pytest
from support.clock import VirtualClock, settle
from support.transport import HANG, ScriptedTransport, ok, status
from weft.kube.cache import Cache
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.informer import Informer
from weft.kube.limiter import Limiter
from weft.kube.resources import PODS
from weft.kube.transport import Dropped, NotSent, Stalled
from weft.metrics import Metrics


def pod(name, version, **metadata):
    metadata = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": version} | metadata
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


def page(version, *pods, token=""):
    items = [{"metadata": pod["metadata"]} for pod in pods]
    return ok({"metadata": {"resourceVersion": version, "continue": token}, "items": items})


def event(kind, obj):
    return {"type": kind, "object": obj}


def bookmark(version):
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})


GONE = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


class World:
    """An informer on a scripted API server; `heard` is what its handler was told."""

    def __init__(self, *answers, streams, **options):
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.transport = ScriptedTransport(list(answers))
        self.transport.streams = list(streams)
        self.heard = []
        rng = random.Random(1)
        limiter = Limiter(maximum=8, metrics=self.metrics)
        client = Client(self.transport, clock=self.clock, rng=rng, metrics=self.metrics, limiter=limiter, attempts=1)
        options = {"on_event": self.hear} | options
        self.cache = Cache(monotonic=self.clock.monotonic)
        self.informer = Informer(
            client,
            PODS,
            cache=self.cache,
            clock=self.clock,
            rng=rng,
            metrics=self.metrics,
            label_selector="app=weft",
            **options,
        )
        self.task = None

    def hear(self, kind, obj, old):
        self.heard.append((kind, obj["metadata"]["name"], old and old["metadata"]["resourceVersion"]))

    async def run(self, seconds=1.0):
        """Let the informer work for that long."""
        if self.task is None:
            self.task = spawn(self.informer.run(), name="informer")
        await self.clock.advance(seconds)
        if self.task.done():
            self.task.result()

    @property
    def asked(self):
        return [
            (r.method, r.params.get("resourceVersion", r.params.get("continue", ""))) for r in self.transport.requests
        ]

    def restarts(self, reason):
        return self.metrics.registry.get_sample_value(
            "weft_watch_restarts_total", {"resource": "pods", "reason": reason}
        )


@pytest.fixture
async def world():
    made = []

    def make(*answers, streams=(), **options):
        made.append(World(*answers, streams=streams, **options))
        return made[-1]

    yield make
    for each in made:
        if each.task is not None:
            each.task.cancel()
    await settle()


async def test_the_first_list_is_told_before_synced_is_set_and_the_watch_starts_where_it_ended(world):
    told_before = []
    one = world(
        page("50", pod("a", "1"), pod("b", "2")), on_event=lambda *_: told_before.append(one.informer.synced.is_set())
    )
    await one.run()
    assert told_before == [False, False]
    assert one.informer.synced.is_set()
    assert one.asked == [("GET", ""), ("WATCH", "50")]
    assert all(request.params["labelSelector"] == "app=weft" for request in one.transport.requests)


async def test_events_reach_the_handler_with_what_was_held_before(world):
    one = world(
        page("50", pod("a", "1")),
        streams=[
            [event("MODIFIED", pod("a", "51")), event("ADDED", pod("b", "52")), event("DELETED", pod("a", "53")), HANG]
        ],
    )
    await one.run()
    assert one.heard == [("ADDED", "a", None), ("MODIFIED", "a", "1"), ("ADDED", "b", None), ("DELETED", "a", "51")]
    assert [obj["metadata"]["name"] for obj in one.cache] == ["b"]


async def test_listed_objects_have_their_kind(world):
    one = world(page("50", pod("a", "1")))
    await one.run()
    assert one.cache.get("ns", "a") == pod("a", "1")


async def test_a_long_list_is_read_in_pages(world):
    one = world(page("50", pod("a", "1"), token="t1"), page("50", pod("b", "2")))
    await one.run()
    assert one.asked == [("GET", ""), ("GET", "t1"), ("WATCH", "50")]
    assert len(one.cache) == 2


async def test_a_list_that_expires_between_pages_begins_again(world):
    one = world(page("50", pod("a", "1"), token="t1"), status(410, "Expired"), page("60", pod("b", "2")))
    await one.run()
    assert one.asked == [("GET", ""), ("GET", "t1"), ("GET", ""), ("WATCH", "60")]
    assert one.heard == [("ADDED", "b", None)]


async def test_a_watch_that_is_dropped_resumes_from_the_last_version_bookmarks_included(world):
    one = world(
        page("50"),
        streams=[[event("ADDED", pod("a", "51")), Dropped("reset")], [bookmark("70"), NotSent("down")], [HANG]],
    )
    await one.run(2)
    assert one.asked == [("GET", ""), ("WATCH", "50"), ("WATCH", "51"), ("WATCH", "70")]
    assert one.restarts("dropped") == 2
    assert one.heard == [("ADDED", "a", None)]


async def test_a_silent_watch_is_given_up_and_resumed(world):
    one = world(page("50"), streams=[[Stalled("silence")], [HANG]])
    await one.run()
    assert one.asked == [("GET", ""), ("WATCH", "50"), ("WATCH", "50")]
    assert one.restarts("stalled") == 1


@pytest.mark.parametrize("refusal", [GONE, event("ERROR", {"code": 500, "message": "etcd"})])
async def test_after_gone_or_an_unknown_error_the_list_says_what_was_missed(world, refusal):
    one = world(
        page("50", pod("a", "1"), pod("b", "2"), pod("c", "3")),
        page("90", pod("b", "80"), pod("c", "3"), pod("d", "81")),
        streams=[[refusal], [HANG]],
    )
    await one.run()
    assert one.heard[3:] == [("DELETED", "a", "1"), ("MODIFIED", "b", "2"), ("ADDED", "d", None)]
    assert one.asked[2:] == [("GET", ""), ("WATCH", "90")]


async def test_a_watch_that_ends_in_good_time_is_resumed_at_once(world):
    one = world(page("50"), streams=[])

    async def stream(path, **_):
        one.transport.requests.append(path)
        await one.clock.sleep(50)
        return
        yield

    one.transport.stream = stream
    await one.run(120)
    assert len(one.transport.requests) == 1 + 3
    assert one.restarts("dropped") is None


async def test_a_watch_that_ends_as_soon_as_it_began_makes_no_busy_loop(world):
    one = world(page("50"), streams=[[]] * 500)
    await one.run(60)
    assert len(one.transport.requests) < 20


async def test_pauses_grow_while_the_server_is_down_and_start_anew_after_success(world):
    one = world(*[NotSent("down")] * 9, page("50"), streams=[[bookmark("51"), Dropped("reset")], [HANG]])
    await one.run(200)
    pauses = one.clock.slept
    assert pauses[0] <= 0.2
    assert 7.5 <= pauses[8] <= 15
    assert pauses[9] <= 0.2


async def test_a_failing_handler_does_not_end_the_watch(world, caplog):
    def fail_on_a(kind, obj, old):
        if obj["metadata"]["name"] == "a":
            raise RuntimeError("a bug")
        heard.append(obj["metadata"]["name"])

    heard = []
    one = world(page("50", pod("a", "1"), pod("b", "2")), on_event=fail_on_a)
    await one.run()
    assert heard == ["b"]
    assert "a handler of pods failed" in caplog.text


async def test_trim_sees_each_object_before_it_is_kept(world):
    one = world(
        page("50", pod("a", "1", managedFields=["much"])),
        streams=[[event("ADDED", pod("b", "51", managedFields=["much"])), HANG]],
        trim=lambda obj: obj["metadata"].pop("managedFields"),
    )
    await one.run()
    assert [obj["metadata"].get("managedFields") for obj in one.cache] == [None, None]
    assert len(one.cache) == 2


async def test_what_we_made_ourselves_is_neither_told_again_nor_lost_by_an_older_event(world):
    one = world(page("50"), streams=[[event("ADDED", pod("a", "60")), event("MODIFIED", pod("a", "65")), HANG]])
    one.cache.remember(pod("a", "62"))
    await one.run()
    assert one.heard == [("MODIFIED", "a", "62")]
