"""The webhook as a server: every replica answers, whether it leads or stands by.

A refusal, or a warning, never rests on old news: before one is given, what the object names is read from the API
server. Checking a graph of thousands of nodes takes seconds, so it is done in a thread, one at a time: the loop that
carries out the runs must not wait for it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from weft.admission.certificate import Certificate
from weft.admission.judge import Found, Names, Verdict, judge, names_in
from weft.admission.lookup import Lookup
from weft.admission.review import MalformedReview, answer, read_review
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import ApiError
from weft.kube.objects import Obj

PATH = "/validate"
RELOAD_SECONDS = 5.0
"""How often the certificate's files are looked at."""
MAX_BYTES = 8 * 1024 * 1024
"""Of one question: an object of 1.5 MiB, as etcd takes it, as it is and as it was, and room for the rest."""


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

    async def verdict(self, obj: Obj, namespace: str) -> Verdict:
        """Judge an object, with what it names looked up."""
        names = names_in(obj, namespace)
        verdict = await self._judged(obj, names, self._lookup.cached(names))
        if names and (verdict.problems or verdict.warnings):
            verdict = await self._judged(obj, names, await self._lookup.fresh(names))
        return verdict

    async def _judged(self, obj: Obj, names: Names, found: Found) -> Verdict:
        return await asyncio.get_running_loop().run_in_executor(self._thread, judge, obj, names, found)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            review = read_review(await request.read())
        except MalformedReview as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        try:
            verdict = await self.verdict(review.obj, review.namespace)
        except ApiError as error:  # what is named cannot be read: the failure policy decides
            raise web.HTTPServiceUnavailable(text=f"cannot look up what the object names: {error}") from None
        return web.json_response(answer(review, verdict))

    async def _keep_up(self) -> None:
        while True:
            await self._clock.sleep(RELOAD_SECONDS)
            self.certificate.reload()
