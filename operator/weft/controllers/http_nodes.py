"""The body `http`: one request for each attempt; its answer becomes the outputs, which the engine judges.

A request that was in flight when the operator died is sent again: its receiver must be able to take it twice, which
the page on http nodes says.
"""

from __future__ import annotations

import orjson

from weft.api.conditions import Reason
from weft.controllers.attempts import Attempts
from weft.controllers.in_flight import InFlight
from weft.controllers.live import LiveRun
from weft.engine.actions import Start
from weft.engine.http_answers import answered
from weft.expr.template import to_text
from weft.notify.guarded_http import GuardedHttp, RequestFailed


class HttpNodes:
    """Sends the requests."""

    def __init__(self, http: GuardedHttp, attempts: Attempts) -> None:
        self._http = http
        self._attempts = attempts
        self._in_flight = InFlight()

    def start(self, live: LiveRun, action: Start) -> None:
        """Send the attempt's request; its end goes into the inbox when the answer is there."""
        self._attempts.begin(live, action.id, self._request(live, action))

    async def _request(self, live: LiveRun, action: Start) -> None:
        body, payload = action.node.body, action.payload
        headers = {header["name"]: to_text(header["value"]) for header in payload.get("headers", ())}
        data = payload.get("body")
        raw: bytes | None = None
        if data is not None:
            raw = data.encode() if isinstance(data, str) else orjson.dumps(data)
            if not isinstance(data, str) and not any(name.lower() == "content-type" for name in headers):
                headers["content-type"] = "application/json"
        try:
            async with self._in_flight.room(live.key.namespace):
                answer = await self._http.request(
                    payload["method"], to_text(payload["url"]), headers=headers, body=raw,
                    timeout_seconds=body.timeout or 30.0, max_bytes=body.max_bytes,
                )  # fmt: skip
        except RequestFailed as error:
            reason = {"AddressRefused": Reason.AddressRefused, "TooLarge": Reason.ResponseTooLarge}.get(
                str(error.reason), Reason.RequestFailed
            )
            fatal = reason is Reason.AddressRefused
            self._attempts.end(live, action.id, succeeded=False, reason=reason, message=str(error), fatal=fatal)
            return
        outputs = {"status": answer.status, "body": answered(answer.body), "headers": dict(answer.headers)}
        self._attempts.end(live, action.id, succeeded=True, outputs=outputs)
