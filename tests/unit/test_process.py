"""How the process begins and ends, with all that is real about it (kopf, sockets, the operator itself) put aside."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any

import pytest
from support.clock import VirtualClock, settle
from support.fakeapi import FakeApi
from support.replica import Replica as Simulated
from weft import process
from weft.kube.informer import Informer
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
        self.failure: Exception | None = None
        self.on_broken: Callable[[], None] | None = None
        self.following = asyncio.Event()

    def follow(self, *, on_broken: Callable[[], None]) -> None:
        self.on_broken = on_broken
        self.following.set()

    async def work(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.told.append("stop")
        if self.failure is not None:
            raise self.failure

    async def release(self) -> None:
        self.told.append("release")


class Connection:
    host = "https://127.0.0.1:6443"


class World:
    def __init__(self, ports: tuple[int, int]) -> None:
        self.replica = Replica()
        self.process = _Process(Settings(metrics_listen_port=ports[0], probe_listen_port=ports[1]), {})
        self.running = asyncio.create_task(self.process.run())

    async def began(self) -> None:
        await asyncio.wait_for(self.replica.following.wait(), 5)

    async def exit_code(self) -> int:
        """Wait for the end of the process; if it does not come, only SIGKILL would end it."""
        return await asyncio.wait_for(self.running, 5)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[World]:
    async def kopf(*, stop_flag: asyncio.Event, **_: Any) -> None:
        await stop_flag.wait()

    monkeypatch.setattr(process, "Connection", lambda load: Connection())
    monkeypatch.setattr(process, "Single", lambda *_, **__: made.replica)
    monkeypatch.setattr(process.kopf, "operator", kopf)
    made = World((unused_tcp_port_factory(), unused_tcp_port_factory()))
    await made.began()
    yield made
    made.running.cancel()
    await asyncio.gather(made.running, return_exceptions=True)


async def test_told_to_stop_it_ends_in_order(world: World) -> None:
    world.process._stop.set()  # what SIGTERM does
    assert await world.exit_code() == 0
    assert world.replica.told == ["stop", "release"]


async def test_it_ends_when_its_own_work_cannot_be_ended_in_order(world: World, caplog: Any) -> None:
    world.replica.failure = RuntimeError("a bug")
    world.process._stop.set()
    with caplog.at_level(logging.ERROR):
        assert await world.exit_code() == 1
    assert world.replica.told == ["stop"]
    assert "RuntimeError: a bug" in caplog.text


async def test_it_does_not_go_on_blind_when_a_watch_has_ended(world: World) -> None:
    assert world.replica.on_broken is not None
    world.replica.on_broken()
    assert await world.exit_code() == 1
    assert world.replica.told == ["stop"]


@pytest.mark.parametrize("shards", [0, 2])
async def test_whoever_works_hears_of_a_watch_that_has_ended(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: Informer) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Informer, "run", run)
    clock, told = VirtualClock(), []
    replica = Simulated(FakeApi(clock=clock), clock, name="op", settings=Settings(shards=shards), http=None)
    replica._part.follow(on_broken=lambda: told.append("broken"))
    replica._part.feed.begin()
    await settle()
    assert told
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
