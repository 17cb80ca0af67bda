"""The webhook as a server: every replica answers, whether it leads or stands by.

A refusal, or a warning, never rests on old news: before one is given, what the object names is read from the API
server. Checking a graph of thousands of nodes takes seconds, so it is done in a thread, one at a time: the loop that
carries out the runs must not wait for it.

The port is open to more than the API server, and a question in memory can be forty times its text. So few are read at
once and some others wait unread; whatever is beyond that, or slow, is turned away, and the failure policy decides.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from weft.admission.certificate import Certificate
from weft.admission.judge import Names, judge, names_in
from weft.admission.lookup import Lookup
from weft.admission.review import MalformedReview, Review, answer, read_review
from weft.kube.clock import Clock, Spawn, within
from weft.kube.errors import ApiError

T = TypeVar("T")

PATH = "/validate"
RELOAD_SECONDS = 5.0
"""How often the certificate's files are looked at."""
MAX_BYTES = 4 * 1024 * 1024
"""Of one question: an object of 1.5 MiB, as etcd takes it, as it is and as it was, and room for the rest."""
MOST_AT_ONCE = 2
"""Questions that are read, checked and answered."""
MOST_WAITING = 200
"""Questions that wait for that: as many as an API server has writes (--max-mutating-requests-inflight)."""
READ_SECONDS = 3.0
"""How long the text of a question may take to come; the API server sends it in one go."""


class Webhook:
    """Serves AdmissionReviews by TLS from `start` to `close`."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        lookup: Lookup,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        """Take the certificate's folder, and where what an object names is looked up."""
        self.certificate = Certificate(folder)
        self.port = port
        self._lookup = lookup
        self._clock = clock
        self._spawn = spawn
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="admission")
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._waiting = 0
        self._runner: web.AppRunner | None = None
        self._reloading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; with port 0, `port` says on which."""
        self.certificate.reload()
        app = web.Application(client_max_size=MAX_BYTES)
        app.add_routes([web.post(PATH, self._answer)])
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "0.0.0.0", self.port, ssl_context=self.certificate.context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._reloading = self._spawn(self._keep_up(), name="webhook-certificate")

    async def close(self) -> None:
        """Answer what has come, and end."""
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: web.Request) -> web.Response:
        if self._places.locked() and self._waiting >= MOST_WAITING:
            raise web.HTTPServiceUnavailable(text="too many questions at once")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            return web.json_response(await self._answered(await self._text(request)))
        except MalformedReview as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except ApiError as error:  # what is named cannot be read: the failure policy decides
            raise web.HTTPServiceUnavailable(text=f"cannot look up what the object names: {error}") from None
        finally:
            self._places.release()

    async def _text(self, request: web.Request) -> bytes:
        reading = request.read()
        try:
            return await within(READ_SECONDS, reading, clock=self._clock, spawn=self._spawn, name="webhook-question")
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"the question did not come within {READ_SECONDS:g} s") from None
        except ConnectionError:  # nobody is left to be answered
            raise web.HTTPBadRequest from None

    async def _answered(self, text: bytes) -> dict[str, Any]:
        """The answer to a question, with what the object names looked up."""
        review, names = await self._aside(_read, text)
        verdict = await self._aside(judge, review.obj, names, self._lookup.cached(names))
        if names and (verdict.problems or verdict.warnings):
            verdict = await self._aside(judge, review.obj, names, await self._lookup.fresh(names))
        return answer(review, verdict)

    async def _aside(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def _keep_up(self) -> None:
        while True:
            await self._clock.sleep(RELOAD_SECONDS)
            self.certificate.reload()


def _read(text: bytes) -> tuple[Review, Names]:
    review = read_review(text)
    return review, names_in(review.obj, review.namespace)
