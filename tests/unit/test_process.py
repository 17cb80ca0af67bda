"""How the process begins and ends, with all that is real about it (kopf, sockets, the operator itself) put aside."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from support.clock import VirtualClock, settle
from support.fakeapi import FakeApi
from support.replica import Replica as Simulated
from weft import process, watching
from weft.app import Operator
from weft.kube.clock import SystemClock, spawn
from weft.kube.config import Access
from weft.kube.errors import Forbidden
from weft.kube.events import Recorder
from weft.kube.informer import Informer
from weft.kube.missing import KindMissing
from weft.kube.resources import WORKFLOWS
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics
from weft.notify.guarded_http import RequestFailed
from weft.outfit import Outfit
from weft.process import _addresses, _Process
from weft.settings import Settings


class Feed:
    synced = True


class Replica:
    """Stands for `Single`: works until it is cancelled."""

    leading = True
    shards: tuple[int, ...] = ()
    feed = Feed()

    def __init__(self, *_: Any, **__: Any) -> None:
        self.told: list[str] = []
        self.failure: BaseException | None = None
        self.refusal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.outfit: Outfit | None = None
        self.following = asyncio.Event()

    def follow(self) -> None:
        self.following.set()

    async def work(self) -> None:
        await self.refusal

    async def stop(self) -> None:
        self.told.append("stop")
        if self.failure is not None:
            raise self.failure

    async def release(self) -> None:
        self.told.append("release")


class Connection:
    access = Access("https://127.0.0.1:6443")


class World:
    def __init__(self, ports: tuple[int, int]) -> None:
        self.replica = Replica()
        denied = (ip_network("192.0.2.0/24"),)
        settings = Settings(metrics_listen_port=ports[0], probe_listen_port=ports[1], notify_denied_cidrs=denied)
        self.process = _Process(settings, {})
        self.kopf: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """When it has a result, kopf ends by itself."""
        self.running = asyncio.create_task(self.process.run())
        self.left: set[asyncio.Task[Any]] = set()
        """What kopf found still running when it was told to end; it would wait for it, and cancel it."""

    async def began(self) -> None:
        await asyncio.wait_for(self.replica.following.wait(), 5)

    async def exit_code(self) -> int:
        """Wait for the end of the process; if it does not come, only SIGKILL would end it."""
        return await asyncio.wait_for(self.running, 5)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[World]:
    async def start(**_: Any) -> list[asyncio.Task[None]]:
        async def watch() -> None:
            await made.kopf

        return [asyncio.create_task(watch())]

    async def end(tasks: list[asyncio.Task[None]], *, ignored: set[asyncio.Task[Any]]) -> None:
        made.replica.told.append("kopf")
        made.left = {task for task in asyncio.all_tasks() - ignored - set(tasks) if not task.done()}
        tasks[0].cancel()

    monkeypatch.setattr(process, "Connection", lambda load: Connection())

    def single(outfit: Outfit, **_: Any) -> Replica:
        made.replica.outfit = outfit
        return made.replica

    monkeypatch.setattr(process, "Single", single)
    monkeypatch.setattr(watching.kopf, "spawn_tasks", start)
    monkeypatch.setattr(watching.kopf, "run_tasks", end)
    made = World((unused_tcp_port_factory(), unused_tcp_port_factory()))
    await made.began()
    yield made
    made.running.cancel()
    await asyncio.gather(made.running, return_exceptions=True)


async def test_told_to_stop_it_ends_in_order(world: World) -> None:
    world.process._stop.set()  # what SIGTERM does
    assert await world.exit_code() == 0
    assert world.replica.told == ["stop", "release", "kopf"]


@pytest.mark.parametrize(("host", "why"), [("192.0.2.1", "denied"), ("127.0.0.1", "the API server")])
async def test_nobody_is_called_whom_the_settings_deny_nor_the_api_server(world: World, host: str, why: str) -> None:
    assert world.replica.outfit is not None
    with pytest.raises(RequestFailed, match=why):
        await world.replica.outfit.http.request("GET", f"http://{host}:9/")


async def test_kopf_finds_nothing_to_wait_for_although_somebody_keeps_a_connection_open(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.process._settings.metrics_listen_port)
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: weft\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    world.process._stop.set()
    assert await world.exit_code() == 0
    assert world.left == set()
    writer.close()


async def test_it_ends_when_its_own_work_cannot_be_ended_in_order(world: World, caplog: Any) -> None:
    world.replica.failure = RuntimeError("a bug")
    world.process._stop.set()
    with caplog.at_level(logging.ERROR):
        assert await world.exit_code() == 1
    assert world.replica.told == ["stop", "kopf"]
    assert "RuntimeError: a bug" in caplog.text


async def test_it_does_not_go_on_when_a_part_of_it_has_failed(world: World) -> None:
    assert world.replica.outfit is not None
    world.replica.outfit.on_broken()
    assert await world.exit_code() == 1
    assert world.replica.told == ["stop", "kopf"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KindMissing(WORKFLOWS), f"cannot lead: {KindMissing(WORKFLOWS).message}"),
        (Forbidden("weft cannot list runs", code=403), "cannot lead: weft cannot list runs"),
        (RuntimeError("a bug"), None),
    ],
    ids=["a kind", "a right", "a bug"],
)
async def test_it_ends_when_it_cannot_lead_and_traces_what_only_we_can_mend(
    error: Exception, told: str | None, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.replica.refusal.set_exception(error)
    assert await world.exit_code() == 1
    [record] = [record for record in caplog.records if record.name == "weft"]
    assert record.levelno == logging.ERROR
    assert (record.exc_info is None) is (told is not None)
    assert told in (None, record.getMessage())


async def test_it_ends_when_kopf_has_failed_and_says_why(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.kopf.set_exception(KeyError("metadata"))
    assert await world.exit_code() == 1
    assert world.replica.told == ["stop", "release"]  # kopf's own end is not waited for: there may be none
    assert "kopf has ended by itself, and without it this process is blind: KeyError: 'metadata'" in caplog.messages


async def test_it_ends_when_kopf_has_ended_early(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.kopf.set_result(None)
    assert await world.exit_code() == 1
    assert world.replica.told == ["stop", "release"]
    assert "kopf has ended by itself" in caplog.text


def test_what_kopf_has_left_behind_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    async def run(_: _Process) -> int:
        left.append(asyncio.create_task(stuck()))
        await asyncio.sleep(0)
        return 1

    def leave(code: int) -> None:
        left[0].get_coro().close()
        codes.append(code)

    left: list[Any] = []
    codes: list[int] = []
    monkeypatch.setattr(_Process, "run", run)
    monkeypatch.setattr(process.os, "_exit", leave)
    monkeypatch.setattr(process, "set_up_logging", lambda settings: None)
    monkeypatch.setattr(process.gc, "set_threshold", lambda *thresholds: None)
    process.main(Settings(), {})
    assert codes == [1]


async def test_everything_is_ended_although_our_work_has_been_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(key: str) -> None:
        return None

    queue = WorkQueue(
        "runs", nothing, workers=2, clock=SystemClock(), rng=random.Random(1), spawn=spawn, metrics=Metrics()
    )
    queue.start()
    await asyncio.sleep(0)

    async def stop() -> None:
        world.replica.told.append("stop")
        await queue.shutdown()

    monkeypatch.setattr(world.replica, "stop", stop)
    for task in queue._tasks:
        task.cancel()
    world.process._stop.set()
    assert await world.exit_code() == 0
    assert world.replica.told == ["stop", "release", "kopf"]


async def test_a_cancellation_that_comes_out_of_our_work_skips_no_other_step(world: World) -> None:
    world.replica.failure = asyncio.CancelledError()
    world.kopf.set_result(None)
    assert await world.exit_code() == 1
    port = world.process._settings.metrics_listen_port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("shards", [0, 2])
async def test_whoever_works_hears_of_a_watch_that_has_ended(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: Informer) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Informer, "run", run)
    clock = VirtualClock()
    replica = Simulated(FakeApi(clock=clock), clock, name="op", settings=Settings(shards=shards), http=None)
    replica._part.follow()
    replica._part.feed.begin()
    await settle()
    assert replica.failure is not None
    await replica.bury()


@pytest.mark.parametrize(
    ("where", "name"),
    [(Recorder, "run"), (WorkQueue, "_take_turns"), (Operator, "_resync"), (Operator, "_observe_all")],
    ids=["events", "workers", "resync", "observe"],
)
async def test_it_ends_in_order_when_a_part_of_its_work_has_failed(
    where: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def buggy(_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(where, name, buggy)
    clock = VirtualClock()
    replica = Simulated(FakeApi(clock=clock), clock, name="op", settings=Settings(lease_enabled=False), http=None)
    replica.start()
    await clock.advance(5)
    assert replica.failure is not None
    assert replica.ended
    assert not replica.leading
    await replica.bury()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("https://10.0.0.1:6443", "10.0.0.1"),
        ("https://10.0.0.1", "10.0.0.1"),
        ("http://127.0.0.1:8001", "127.0.0.1"),
        ("https://10.0.0.1:6443/k8s/clusters/c", "10.0.0.1"),
        ("https://10.0.0.1/k8s/clusters/c-m:1", "10.0.0.1"),
        ("https://[fd00::1]:443", "fd00::1"),
        ("https://[::1]", "::1"),
        ("https://[fd00::1]/k8s/clusters/c", "fd00::1"),
    ],
)
def test_the_api_servers_address_is_that_of_its_url(host: str, address: str) -> None:
    assert _addresses(host) == {ip_address(address)}


@pytest.mark.parametrize("host", ["https://rancher.example/k8s/clusters/c", "https://rancher.example:8443"])
def test_the_api_servers_name_is_looked_up(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(name: str, *_: Any, **__: Any) -> list[Any]:
        assert name == "rancher.example"
        return [(2, 1, 6, "", ("192.0.2.7", 0)), (10, 1, 6, "", ("2001:db8::7", 0, 0, 0))]

    monkeypatch.setattr(process.socket, "getaddrinfo", look_up)
    assert _addresses(host) == {ip_address("192.0.2.7"), ip_address("2001:db8::7")}
