import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from weft.notify.addresses import AddressPolicy
from weft.notify.guarded_http import FailureReason, GuardedHttp, RequestFailed

LOOPBACK_ALLOWED = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),))
STRICT = AddressPolicy()


class FakeResolver(AbstractResolver):
    """Answers each lookup with the next list of addresses, then with the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.lookups = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.lookups += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class Site:
    """A web server on loopback that remembers the requests it got."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.cookies: list[str | None] = []
        self.never = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/echo", self.echo)
        app.router.add_get("/moved", self.moved)
        app.router.add_get("/silent", self.silent)
        app.router.add_get("/big", self.big)
        self.server = TestServer(app)

    async def echo(self, request: web.Request) -> web.Response:
        self.cookies.append(request.headers.get("cookie"))
        self.seen.append((request.method, request.headers.get("x-token", ""), await request.read()))
        return web.Response(status=418, body=b"short and stout", headers={"X-Kind": "Teapot", "Set-Cookie": "a=b"})

    async def moved(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/echo"})

    async def silent(self, request: web.Request) -> web.Response:
        await self.never.wait()
        return web.Response()

    async def big(self, request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5000)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server.port}{path}"


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.server.start_server()
    yield site
    site.never.set()
    await site.server.close()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    client = GuardedHttp(LOOPBACK_ALLOWED)
    yield client
    await client.close()


async def failure(client: GuardedHttp, url: str, **more: float) -> RequestFailed:
    with pytest.raises(RequestFailed) as caught:
        await client.request("GET", url, **more)  # type: ignore[arg-type]
    return caught.value


async def test_any_status_is_an_answer(http: GuardedHttp, site: Site) -> None:
    answer = await http.request("POST", site.url("/echo"), headers={"x-token": "t"}, body=b"hello")

    assert (answer.status, answer.headers["x-kind"], answer.body) == (418, "Teapot", b"short and stout")
    assert site.seen == [("POST", "t", b"hello")]


async def test_redirects_are_handed_back_not_followed(http: GuardedHttp, site: Site) -> None:
    answer = await http.request("GET", site.url("/moved"))

    assert (answer.status, answer.headers["location"]) == (302, "/echo")
    assert site.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]"])
async def test_literal_loopback_is_refused_in_every_notation(site: Site, host: str) -> None:
    client = GuardedHttp(STRICT)

    failed = await failure(client, site.url("/echo", host))
    await client.close()

    assert failed.reason is FailureReason.AddressRefused
    assert "127.0.0.1 is loopback" in str(failed)
    assert site.seen == []


async def test_a_name_is_judged_by_the_address_connected_to(site: Site) -> None:
    client = GuardedHttp(STRICT, resolver=FakeResolver(["127.0.0.1"]))

    failed = await failure(client, site.url("/echo", "innocent.example"))
    await client.close()

    assert failed.reason is FailureReason.AddressRefused
    assert site.seen == []


async def test_a_name_that_changes_its_mind_is_judged_again(site: Site) -> None:
    policy = AddressPolicy(allowed=(ip_network("127.0.0.1/32"),))
    resolver = FakeResolver(["127.0.0.1"], ["127.0.0.2"])
    client = GuardedHttp(policy, resolver=resolver)

    first = await client.request("GET", site.url("/echo", "one.example"), headers={"Connection": "close"})
    failed = await failure(client, site.url("/echo", "two.example"))
    await client.close()

    assert first.status == 418
    assert failed.reason is FailureReason.AddressRefused
    assert "127.0.0.2" in str(failed)
    assert resolver.lookups == 2


async def test_a_name_that_leads_into_a_denied_network_is_refused_though_a_wider_one_is_allowed(site: Site) -> None:
    policy = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),), denied=(ip_network("127.0.0.1/32"),))
    client = GuardedHttp(policy, resolver=FakeResolver(["127.0.0.1"]))

    failed = await failure(client, site.url("/echo", "innocent.example"))
    await client.close()

    assert failed.reason is FailureReason.AddressRefused
    assert site.seen == []


async def test_one_refused_address_among_several_is_never_connected_to(site: Site) -> None:
    policy = AddressPolicy(allowed=(ip_network("127.0.0.2/32"),))
    client = GuardedHttp(policy, resolver=FakeResolver(["127.0.0.2", "127.0.0.1"]))

    failed = await failure(client, site.url("/echo", "mixed.example"))
    await client.close()

    assert failed.reason is FailureReason.AddressRefused
    assert site.seen == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://files.example/", FailureReason.AddressRefused),
        ("http://user:hunter2@files.example/", FailureReason.AddressRefused),
        ("http://[not-an-address/", FailureReason.InvalidRequest),
        ("", FailureReason.AddressRefused),
    ],
)
async def test_urls_of_the_wrong_form(http: GuardedHttp, url: str, reason: FailureReason) -> None:
    failed = await failure(http, url)

    assert failed.reason is reason
    assert "hunter2" not in str(failed)


async def test_a_receiver_that_says_nothing(http: GuardedHttp, site: Site) -> None:
    failed = await failure(http, site.url("/silent"), timeout_seconds=0.05)

    assert failed.reason is FailureReason.Timeout
    assert "no answer within 0.05 s" in str(failed)


async def test_an_answer_that_is_too_large(http: GuardedHttp, site: Site) -> None:
    failed = await failure(http, site.url("/big"), max_bytes=4999)

    assert failed.reason is FailureReason.TooLarge
    assert (await http.request("GET", site.url("/big"), max_bytes=5000)).body == b"x" * 5000
    assert (await http.request("GET", site.url("/big"), max_bytes=None)).body == b""


async def test_nobody_listens(http: GuardedHttp) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        failed = await failure(http, f"http://127.0.0.1:{port}/services/T0/B0/s3cret?token=s3cret")

    assert failed.reason is FailureReason.ConnectionFailed
    assert str(failed).startswith(f"http://127.0.0.1:{port}: ")
    assert "s3cret" not in str(failed)


async def test_a_header_that_breaks_out_of_its_line_is_refused_and_not_repeated(http: GuardedHttp, site: Site) -> None:
    with pytest.raises(RequestFailed) as caught:
        await http.request("GET", site.url("/echo"), headers={"x-token": "s3cret\r\nx-admin: yes"})

    assert caught.value.reason is FailureReason.InvalidRequest
    assert "s3cret" not in str(caught.value)
    assert site.seen == []


async def test_cookies_are_not_kept(site: Site) -> None:
    client = GuardedHttp(LOOPBACK_ALLOWED, resolver=FakeResolver(["127.0.0.1"]))
    for _ in range(2):
        await client.request("GET", site.url("/echo", "named.example"))
    await client.close()

    assert site.cookies == [None, None]
