"""The real transport against a real server on the loopback: sockets cannot be simulated honestly."""

import asyncio
import ssl
from dataclasses import replace

import pytest
import yaml
from aiohttp import web
from kubernetes.config import ConfigException
from support.certificates import Authority
from weft.kube.config import Access
from weft.kube.http import REFRESH_SECONDS, HttpTransport
from weft.kube.transport import Dropped, NotSent, Stalled, StreamRefused


class Login:
    """Stands for `weft.kube.config.Connection`: its token is what the test says, once it is asked for again."""

    def __init__(self, host):
        self.access = Access(host, authorization="Bearer first")
        self.next = "Bearer first"
        self.reloads = 0
        self.failure = None

    def reload(self):
        self.reloads += 1
        if self.failure is not None:
            raise self.failure
        self.access = replace(self.access, authorization=self.next)

    def refresh(self):
        if self.failure is not None:
            raise self.failure
        if self.access.authorization != self.next:
            self.access = replace(self.access, authorization=self.next)


class World:
    def __init__(self):
        self.seen = []
        self.accepted = {"Bearer first"}
        self.time = 0.0
        self.handler = None

    async def serve(self, request):
        body = await request.read()
        self.seen.append((request.method, request.path_qs, dict(request.headers), body, request.transport))
        if request.headers.get("Authorization") not in self.accepted:
            return web.Response(status=401, body=b'{"reason": "Unauthorized"}')
        if self.handler is not None:
            return await self.handler(request)
        return web.Response(status=201, body=b'{"a": 1}', headers={"Retry-After": "3"})

    async def request(self, method="GET", path="/api", **options):
        options = {"params": {}, "headers": {}, "body": None, "content_type": None, "time_limit": 5.0} | options
        return await self.transport.request(method, path, **options)

    async def lines(self, **options):
        options = {"params": {}, "headers": {}, "idle_timeout": 5.0} | options
        return [line async for line in self.transport.stream("/watch", **options)]


@pytest.fixture
async def world(unused_tcp_port):
    made = World()
    server = web.Server(made.serve)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    made.login = Login(f"http://127.0.0.1:{unused_tcp_port}")
    made.transport = HttpTransport(made.login, monotonic=lambda: made.time)
    yield made
    await made.transport.close()
    await runner.cleanup()


async def test_a_request_carries_everything_and_the_answer_comes_back_whole(world):
    response = await world.request(
        "PATCH",
        "/api/v1/namespaces/ns/pods/a%2Fb",
        params={"fieldManager": "weft", "labelSelector": "a=b,c in (d)"},
        headers={"Impersonate-User": "sa"},
        body=b'{"x": 1}',
        content_type="application/merge-patch+json",
    )
    assert (response.status, response.body, response.headers["retry-after"]) == (201, b'{"a": 1}', "3")
    ((method, path, headers, body, _),) = world.seen
    assert method == "PATCH"
    assert path.startswith("/api/v1/namespaces/ns/pods/a%2Fb?fieldManager=weft&labelSelector=a%3Db")
    assert headers["Authorization"] == "Bearer first"
    assert headers["Impersonate-User"] == "sa"
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert body == b'{"x": 1}'


async def test_a_request_that_may_not_leave_any_more_when_its_connection_stands_is_not_sent(world):
    """Its process may have slept meanwhile, and lost its lease."""
    asked = []

    def may_leave():
        asked.append(len(world.seen))
        return len(asked) == 1

    assert (await world.request("POST", body=b"{}", content_type="application/json", may_leave=may_leave)).status == 201
    with pytest.raises(Dropped, match="may not be sent"):
        await world.request("POST", body=b"{}", content_type="application/json", may_leave=may_leave)
    assert (await world.request()).status == 201
    assert asked == [0, 1]
    assert [seen[0] for seen in world.seen] == ["POST", "GET"]


async def test_connections_are_used_again(world):
    for _ in range(3):
        await world.request()
    assert len({id(seen[4]) for seen in world.seen}) == 1


async def test_after_a_401_the_credentials_are_loaded_again_once_for_all_who_met_it(world):
    world.accepted = {"Bearer second"}
    world.login.next = "Bearer second"
    responses = await asyncio.gather(*(world.request() for _ in range(5)))
    assert [response.status for response in responses] == [201] * 5
    assert world.login.reloads == 1


async def test_a_401_that_stays_is_given_to_the_caller(world):
    world.accepted = set()
    assert (await world.request()).status == 401


async def test_the_token_is_asked_for_again_every_minute(world):
    await world.request()
    world.login.next = "Bearer rotated"
    world.accepted = {"Bearer first", "Bearer rotated"}
    world.time = REFRESH_SECONDS - 1
    await world.request()
    world.time = REFRESH_SECONDS
    await world.request()
    assert [seen[2]["Authorization"] for seen in world.seen] == ["Bearer first", "Bearer first", "Bearer rotated"]
    assert world.login.reloads == 0


UNREADABLE = [
    ConfigException("exec: process returned 1"),
    FileNotFoundError(2, "No such file or directory", "/var/run/secrets/token"),
    ssl.SSLError(9, "PEM lib"),
    yaml.YAMLError("mapping values are not allowed here"),
]


@pytest.mark.parametrize("failure", UNREADABLE, ids=lambda error: type(error).__name__)
async def test_a_token_that_cannot_be_read_just_now_is_asked_for_again_and_the_old_one_is_tried_meanwhile(
    world, failure
):
    world.login.failure = failure
    world.time = REFRESH_SECONDS
    with pytest.raises(NotSent, match="the credentials cannot be read: "):
        await world.request()
    assert (await world.request()).status == 201
    world.time = 2 * REFRESH_SECONDS
    with pytest.raises(NotSent, match="the credentials cannot be read: "):
        await world.lines()
    world.login.failure, world.login.next, world.accepted = None, "Bearer rotated", {"Bearer rotated"}
    world.time = 3 * REFRESH_SECONDS
    assert (await world.request()).status == 201


@pytest.mark.parametrize("failure", UNREADABLE, ids=lambda error: type(error).__name__)
async def test_after_a_401_credentials_that_cannot_be_read_are_read_again_at_the_next_try(world, failure):
    world.accepted = {"Bearer second"}
    world.login.next, world.login.failure = "Bearer second", failure
    with pytest.raises(NotSent, match="the credentials cannot be read: "):
        await world.request()
    with pytest.raises(NotSent, match="the credentials cannot be read: "):
        await world.lines()
    world.login.failure = None
    assert (await world.request()).status == 201


async def test_no_server_means_not_sent(world, unused_tcp_port_factory):
    world.login.access = Access(f"http://127.0.0.1:{unused_tcp_port_factory()}")
    with pytest.raises(NotSent, match="no connection to the API server"):
        await world.request()
    with pytest.raises(NotSent):
        await world.lines()


async def never(_request):
    await asyncio.get_running_loop().create_future()


async def test_no_answer_in_time_is_a_stall(world):
    world.handler = never
    with pytest.raises(Stalled):
        await world.request(time_limit=0.05)


async def hang_up(request):
    request.transport.abort()
    return web.Response()


async def test_a_connection_that_breaks_is_a_drop(world):
    world.handler = hang_up
    with pytest.raises(Dropped) as caught:
        await world.request("POST")
    assert not isinstance(caught.value, Stalled)


def streaming(*chunks, then=None):
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then is not None:
            await then(request)
        return response

    return handler


async def test_a_stream_gives_whole_lines_until_the_server_ends_it(world):
    world.handler = streaming(b'{"a"', b': 1}\n{"b": 2}\n{"c', b'": 3}\n')
    assert await world.lines(params={"watch": "1"}) == [b'{"a": 1}', b'{"b": 2}', b'{"c": 3}']
    assert world.seen[0][1] == "/watch?watch=1"


async def test_a_line_far_longer_than_any_buffer_passes(world):
    long = b"x" * (4 * 1024 * 1024)
    world.handler = streaming(long, long, b"\n")
    assert [len(line) for line in await world.lines()] == [8 * 1024 * 1024]


async def test_a_silent_stream_is_a_stall(world):
    world.handler = streaming(b"first\n", then=never)
    with pytest.raises(Stalled):
        await world.lines(idle_timeout=0.05)


async def test_a_stream_that_breaks_is_a_drop(world):
    world.handler = streaming(b"first\n", then=hang_up)
    with pytest.raises(Dropped) as caught:
        await world.lines()
    assert not isinstance(caught.value, Stalled)


async def test_a_stream_that_is_refused_says_why_and_the_next_one_has_new_credentials(world):
    world.accepted = {"Bearer second"}
    world.login.next = "Bearer second"
    with pytest.raises(StreamRefused) as caught:
        await world.lines()
    assert (caught.value.response.status, caught.value.response.body) == (401, b'{"reason": "Unauthorized"}')
    world.handler = streaming(b"a\n")
    assert await world.lines() == [b"a"]


class Rotated:
    """An API server behind TLS whose authority has changed; `login` knows the old one until it loads anew."""

    def __init__(self, folder, port):
        self.port = port
        self.old, self.new = Authority(folder / "old", "old"), Authority(folder / "new", "new")
        self.folder = folder
        self.reloads = 0
        self.access = self.by(self.old)

    def by(self, authority):
        trusted = ssl.create_default_context(cadata=authority.certificate)
        return Access(f"https://127.0.0.1:{self.port}", tls=trusted, authorization="Bearer first")

    def reload(self):
        self.reloads += 1
        self.access = self.by(self.new)

    def refresh(self):
        pass

    def shown(self):
        self.new.server("127.0.0.1").write(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context


@pytest.fixture
async def rotated(tmp_path, unused_tcp_port):
    made = World()
    runner = web.ServerRunner(web.Server(made.serve), shutdown_timeout=0.1)
    await runner.setup()
    made.login = Rotated(tmp_path, unused_tcp_port)
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port, ssl_context=made.login.shown()).start()
    made.transport = HttpTransport(made.login, monotonic=lambda: made.time)
    yield made
    await made.transport.close()
    await runner.cleanup()


async def test_an_authority_that_was_rotated_is_loaded_once_for_all_who_met_it(rotated):
    answers = await asyncio.gather(*(rotated.request() for _ in range(10)))
    assert {answer.status for answer in answers} == {201}
    assert rotated.login.reloads == 1


async def test_a_stream_of_an_authority_that_was_rotated_is_trusted_the_next_time(rotated):
    rotated.handler = streaming(b"a\n")
    with pytest.raises(NotSent):
        await rotated.lines()
    assert await rotated.lines() == [b"a"]
    assert rotated.login.reloads == 1


async def test_a_certificate_that_stays_unknown_means_not_sent(rotated):
    rotated.login.new = rotated.login.old
    with pytest.raises(NotSent):
        await rotated.request()
    assert rotated.login.reloads == 1
