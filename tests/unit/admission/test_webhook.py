"""The webhook behind real TLS on the loopback: what it answers, and that its certificate changes under it."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.certificates import Authority, Pair
from support.clock import VirtualClock
from support.fakeapi import FakeApi
from support.manifests import node_type, workflow
from weft.admission import server as module
from weft.admission.judge import judge
from weft.admission.lookup import Lookup
from weft.admission.review import LONGEST_WARNING
from weft.admission.server import MAX_BYTES, RELOAD_SECONDS, Webhook
from weft.api.objects import Obj
from weft.kube.clock import spawn
from weft.kube.resources import NODE_TYPES, WORKFLOWS

BROKEN = {"nodes": [{"name": "a", "when": "1 +", "job": {"image": "i"}}]}
SOUND = {"nodes": [{"name": "a", "job": {"image": "i"}}]}


def obj(kind: str = "Workflow", **spec: Any) -> Obj:
    return {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


class World:
    """The webhook, an API server, and caches that know only what the test tells them."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock)
        self.folder = folder / "mount"
        self.authority = Authority(folder / "authority")
        self.cached_workflows: dict[str, Obj] = {}
        self.cached_types: dict[str, Obj] = {}
        lookup = Lookup(
            self.api.client(),
            find_workflow=lambda namespace, name: self.cached_workflows.get(name),
            find_types=lambda namespace, names: {n: self.cached_types[n] for n in names if n in self.cached_types},
        )
        self.webhook = Webhook(self.folder, 0, lookup=lookup, clock=self.clock, spawn=spawn)

    def mount(self, pair: Pair, version: str) -> None:
        """As the kubelet does: a new folder, and one link that is swapped for another at once."""
        pair.write(self.folder / f"..{version}")
        link = self.folder / "..new"
        link.symlink_to(f"..{version}")
        link.rename(self.folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")

    async def ask(self, content: Obj, *, authority: Authority | None = None) -> Obj:
        review = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "namespace": "ns", "object": content}}
        async with self.post(review, authority=authority) as answered:
            assert answered.status == 200, await answered.text()
            response: Obj = (await answered.json())["response"]
        return response

    def post(self, document: Any, *, authority: Authority | None = None) -> Any:
        trusted = ssl.create_default_context(cadata=(authority or self.authority).certificate)
        url = f"https://127.0.0.1:{self.webhook.port}/validate"
        return _Once(url, trusted, document)


class _Once:
    """One request on a connection of its own, as each new handshake of the API server."""

    def __init__(self, url: str, trusted: ssl.SSLContext, document: Any) -> None:
        self._session = aiohttp.ClientSession()
        self._request = self._session.post(url, json=document, ssl=trusted)

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            return await self._request.__aenter__()
        except BaseException:
            await self._session.close()
            raise

    async def __aexit__(self, *rest: Any) -> None:
        await self._request.__aexit__(*rest)
        await self._session.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    made.mount(made.authority.server("127.0.0.1"), "one")
    await made.webhook.start()
    yield made
    await made.webhook.close()


async def test_it_answers_what_weft_validate_says(world: World) -> None:
    assert await world.ask(obj(**SOUND)) == {"uid": "u", "allowed": True}
    refusal = await world.ask(obj(**BROKEN))
    assert refusal["allowed"] is False
    assert refusal["status"]["message"].startswith("spec.nodes[0].when: ")


async def test_a_refusal_never_rests_on_old_news(world: World) -> None:
    world.cached_workflows["w"] = workflow("w")
    world.api.add(workflow("w", parameters=[{"name": "n", "type": "integer"}]))
    run = obj("WorkflowRun", workflowRef={"name": "w"}, parameters={"n": 1})
    assert (await world.ask(run))["allowed"] is True
    run["spec"]["parameters"] = {"n": "x"}
    assert (await world.ask(run))["allowed"] is False
    uses = obj(nodes=[{"name": "a", "use": {"name": "t"}}])
    assert "NodeTypes: t" in (await world.ask(uses))["warnings"][0]
    world.api.add(node_type("t"))
    assert await world.ask(uses) == {"uid": "u", "allowed": True}


async def test_what_the_caches_allow_costs_no_request(world: World) -> None:
    world.cached_workflows["w"] = workflow("w")
    world.cached_types["t"] = node_type("t")["spec"]
    await world.ask(obj("WorkflowRun", workflowRef={"name": "w"}))
    await world.ask(obj(nodes=[{"name": "a", "use": {"name": "t"}}]))
    await world.ask(obj(**BROKEN))  # names nothing: there is nothing to look up
    assert world.api.asked("GET", WORKFLOWS.plural) + world.api.asked("GET", NODE_TYPES.plural) == []


async def test_however_much_is_named_it_is_one_list(world: World) -> None:
    uses = [{"name": f"n{index}", "use": {"name": f"t{index}"}} for index in range(50)]
    (warning,) = (await world.ask(obj(nodes=uses)))["warnings"]
    assert len(warning) == LONGEST_WARNING
    assert len(world.api.asked("GET", NODE_TYPES.plural)) == 1


async def test_what_cannot_be_looked_up_is_left_to_the_failure_policy(world: World) -> None:
    world.api.fail(403, plural=NODE_TYPES.plural)
    request = {"uid": "u", "namespace": "ns", "object": obj(nodes=[{"name": "a", "use": {"name": "t"}}])}
    async with world.post({"apiVersion": "admission.k8s.io/v1", "request": request}) as answered:
        assert answered.status == 503


async def test_what_is_no_review_is_no_crash(world: World) -> None:
    async with world.post({"apiVersion": "v1"}) as answered:
        assert answered.status == 400
    async with world.post("x" * (MAX_BYTES + 1)) as answered:
        assert answered.status == 413
    assert (await world.ask(obj(**SOUND)))["allowed"] is True


async def test_a_slow_check_does_not_hold_up_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check waits for the loop to do something, which it could not if it were done in the loop."""
    loop_went_on = threading.Event()

    def slow(*arguments: Any) -> Any:
        assert loop_went_on.wait(10)
        return judge(*arguments)

    monkeypatch.setattr(module, "judge", slow)
    asked = asyncio.create_task(world.ask(obj(**SOUND)))
    asyncio.get_running_loop().call_later(0.05, loop_went_on.set)
    assert (await asked)["allowed"] is True


async def test_a_question_is_parsed_where_it_is_checked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def watched(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            threads.append(threading.current_thread().name)
            return function(*arguments)

        return call

    for name in ("read_review", "names_in", "judge"):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    await world.ask(obj(**SOUND))
    assert [name[:9] for name in threads] == ["admission"] * 3


async def test_an_object_as_large_as_etcd_takes_it_can_be_changed(world: World) -> None:
    large = obj(**SOUND) | {"status": {"text": "x" * (3 * 2**19)}}
    request = {"uid": "u", "object": large, "oldObject": large, "userInfo": {"groups": ["g" * 100] * 1000}}
    async with world.post({"apiVersion": "admission.k8s.io/v1", "request": request}) as answered:
        assert (await answered.json())["response"]["allowed"] is True


class Slow:
    """A question whose body does not come."""

    async def begin(self, world: World) -> None:
        trusted = ssl.create_default_context(cadata=world.authority.certificate)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", world.webhook.port, ssl=trusted)
        self._writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        await self._writer.drain()

    async def status(self) -> bytes:
        answered = await self._reader.readline()
        self._writer.close()
        return answered.split()[1]


async def test_two_questions_are_read_at_once_and_a_few_more_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held in memory, a question is forty times its text; whoever reaches the port may send one after the other."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    slow = [Slow() for _ in range(module.MOST_AT_ONCE)]
    for one in slow:
        await one.begin(world)
    await asyncio.sleep(0.1)
    waiting = [asyncio.create_task(world.ask(obj(**SOUND))) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0.3)
    assert not done
    async with world.post({}) as answered:
        assert answered.status == 503
    await world.clock.advance(module.READ_SECONDS)
    assert [await one.status() for one in slow] == [b"408", b"408"]
    assert [(await one)["allowed"] for one in waiting] == [True, True]


async def test_who_hangs_up_gives_the_place_back(world: World) -> None:
    for _ in range(3 * module.MOST_AT_ONCE):
        slow = Slow()
        await slow.begin(world)
        await asyncio.sleep(0.02)
        slow._writer.transport.abort()
    assert (await asyncio.wait_for(world.ask(obj(**SOUND)), 5))["allowed"] is True


async def test_a_new_certificate_is_shown_without_a_restart(world: World, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:  # a connection that stands while the certificate changes
        trusted = ssl.create_default_context(cadata=world.authority.certificate)
        url = f"https://127.0.0.1:{world.webhook.port}/validate"
        review = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": obj(**SOUND)}}
        async with session.post(url, json=review, ssl=trusted) as answered:
            assert answered.status == 200
        other = Authority(tmp_path / "other", "other")
        world.mount(other.server("127.0.0.1"), "two")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await world.ask(obj(**SOUND), authority=other)
        await world.clock.advance(RELOAD_SECONDS)
        assert (await world.ask(obj(**SOUND), authority=other))["allowed"] is True
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await world.ask(obj(**SOUND))
        async with session.post(url, json=review, ssl=trusted) as answered:
            assert answered.status == 200


@pytest.mark.parametrize("what", ["key", "text", "gone", "loop"])
async def test_a_bad_certificate_leaves_the_one_before(
    what: str, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = world.authority.server("127.0.0.1")
    bad = {
        "key": Pair(good.certificate, world.authority.server("127.0.0.1").key),
        "text": Pair("no certificate", "no key"),
        "gone": None,
        "loop": None,
    }[what]
    if bad is None:
        (world.folder / "..data").unlink()
        if what == "loop":
            (world.folder / "..data").symlink_to("..data")
    else:
        world.mount(bad, "bad")
    await world.clock.advance(3 * RELOAD_SECONDS)
    assert caplog.text.count("cannot be used") == 1
    assert (await world.ask(obj(**SOUND)))["allowed"] is True
    before = world.webhook.certificate.fingerprint
    world.mount(good, "mended")
    await world.clock.advance(RELOAD_SECONDS)
    assert world.webhook.certificate.fingerprint != before
    assert (await world.ask(obj(**SOUND)))["allowed"] is True


async def test_it_starts_without_a_certificate_and_shows_it_once_it_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.webhook.start()
    with pytest.raises(aiohttp.ClientError):
        await world.ask(obj(**SOUND))
    world.mount(world.authority.server("127.0.0.1"), "one")
    await world.clock.advance(RELOAD_SECONDS)
    assert (await world.ask(obj(**SOUND)))["allowed"] is True
    await world.webhook.close()
