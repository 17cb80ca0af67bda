"""What the API server answers when it does not do what was asked, as exceptions that say what to do next.

Each class is one decision of a caller: create it (NotFound), compare it (AlreadyExists), read again (Conflict), list
again (Gone), wait (QuotaExceeded), try a few times (NotYetAllowed), give up (NamespaceTerminating, Forbidden, Invalid),
or try later. `OutcomeUnknown` is the dangerous one: the write may have happened, so whoever catches it must look
before doing it again.
"""

import re
from collections.abc import Mapping

import orjson

from weft.api.objects import Obj


class ApiError(Exception):
    """The API server's refusal. `code` is the HTTP status (0 when nothing was answered), `body` its Status object."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        reason: str = "",
        body: Obj | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.body: Obj = body or {}
        self.retry_after = retry_after

    def __str__(self) -> str:
        head = " ".join(part for part in (str(self.code) if self.code else "", self.reason) if part)
        return f"{head}: {self.message}" if head else self.message


class BadRequest(ApiError):
    """400, or another 4xx that no other class names."""


class Unauthorized(ApiError):
    """401: the token or certificate is not accepted, even after it was read again."""


class Forbidden(ApiError):
    """403 by RBAC, an admission plugin or a policy: trying again will not help."""


class QuotaExceeded(Forbidden):
    """403 by a ResourceQuota: wait and try again."""


class NotYetAllowed(Forbidden):
    """403 for something that is missing, or only late: a right, the Pod's service account, an admission plugin's news.

    An API server that has just started knows no RBAC rule yet; a new namespace has no service account for a moment.
    """


class NamespaceTerminating(Forbidden):
    """403 because the namespace is being deleted: give up."""


class NotFound(ApiError):
    """404: the object (or, for a create, its namespace) does not exist."""


class AlreadyExists(ApiError):
    """409 on a create: the name is taken; compare what is there with what was meant."""


class Conflict(ApiError):
    """409: the resourceVersion or a precondition did not match; read again."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class Invalid(ApiError):
    """422, or what means the same: the object is not valid; trying again will not help."""


class TooManyRequests(ApiError):
    """429: nothing was done; try again after `retry_after`."""


class ServerError(ApiError):
    """5xx: a write may or may not have happened."""


class Unreachable(ApiError):
    """No connection could be made: nothing was done."""


class OutcomeUnknown(ApiError):
    """The connection broke after the request was sent: a write may or may not have happened."""


class TimedOut(OutcomeUnknown):
    """No answer came in time, or a watch fell silent: a write may or may not have happened."""


_BY_CODE: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}

_NOT_OF_ITS_KIND = "failed to create typed patch object"
"""Server-side apply of what does not fit its kind's schema is answered by 500 (measured on 1.35)."""
_MISSING = re.compile(r'User "[^"]*" cannot \w+ resource|error looking up service account|not yet ready to handle')
_QUOTA_PHRASES = ("exceeded quota:", "status unknown for quota:")
"""A quota's refusal has no reason of its own, only its words; the second means that usage is not counted yet."""


def from_status(code: int, body: Obj, *, retry_after: float | None = None) -> ApiError:
    """Give the exception for an HTTP code and a Status object (an error answer's body, or a watch's ERROR event)."""
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or f"the API server answered {code}")
    kind = _BY_CODE.get(code, ServerError if code >= 500 else BadRequest)
    if kind is ServerError and message.startswith(_NOT_OF_ITS_KIND):
        kind = Invalid
    elif kind is Conflict and reason == "AlreadyExists":
        kind = AlreadyExists
    elif kind is Forbidden:
        causes = (body.get("details") or {}).get("causes") or ()
        if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
            kind = NamespaceTerminating
        elif any(phrase in message for phrase in _QUOTA_PHRASES):
            kind = QuotaExceeded
        elif _MISSING.search(message):
            kind = NotYetAllowed
    return kind(message, code=code, reason=reason, body=body, retry_after=retry_after)


def from_response(code: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """Give the exception for an error answer; what is not a Status object (a proxy's page) becomes the message."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict):
        status = {"message": body[:300].decode("utf-8", "replace").strip()}
    after = headers.get("retry-after", "")
    return from_status(code, status, retry_after=float(after) if after.isdecimal() else None)
