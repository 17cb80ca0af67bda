"""When to ask the API server again for an attempt that it has refused, and what is shown meanwhile.

A quota is waited for as long as the node may be pending, and so is an API server in trouble (a webhook that fails,
above all), which must not hold up the rest of the run. Something missing (a right, a service account) may only be
late: an API server that has just started knows no RBAC rule yet, and Argo CD applies a namespace and what runs in it
at once. It is asked for a few times more before it fails the node; how long it has been missing is read from the
status, so that an operator that dies in between does not begin to count anew.
"""

from __future__ import annotations

from weft.api.conditions import Reason
from weft.controllers.live import Held, LiveRun
from weft.engine.actions import Start
from weft.engine.observation import AttemptPending
from weft.engine.state import AttemptId
from weft.kube.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    NotYetAllowed,
    QuotaExceeded,
    ServerError,
)

REFUSALS = (Forbidden, Invalid, BadRequest, NotFound, ServerError)
"""What is asked about here: answers that are about the object, or about what has to look at it; others pass by."""
BELIEVED_AFTER_SECONDS = 30.0
BELIEVED_AFTER_TIMES = 2
"""What is said to be missing once more after so many times in a row, and so long, is believed to be."""


def passing(live: LiveRun, id_: AttemptId, error: ApiError, *, now: float) -> Reason | None:
    """Take a refusal down; gives why the attempt is to be asked for again, None when the refusal is final."""
    if isinstance(error, QuotaExceeded):
        live.missing.pop(id_, None)
        return Reason.QuotaExceeded
    if isinstance(error, ServerError):
        live.missing.pop(id_, None)
        return Reason.ApiServerError
    if not isinstance(error, NotYetAllowed):
        return None
    times = live.missing[id_] = live.missing.get(id_, 0) + 1
    unit = live.state.active.get(id_)
    since = unit.pending_since if unit is not None and unit.pending_since is not None else now
    believed = times > BELIEVED_AFTER_TIMES and now - since >= BELIEVED_AFTER_SECONDS
    return None if believed else Reason.Forbidden


def wait_out(live: LiveRun, action: Start, error: ApiError, *, now: float) -> bool:
    """Hold the attempt back when the refusal may pass; gives whether it does."""
    reason = passing(live, action.id, error, now=now)
    if reason is not None:
        hold(live, action, reason, error.message, now=now, seconds=live.refused(action.id))
    return reason is not None


def refusal(error: ApiError, *, otherwise: Reason) -> Reason:
    """Give the reason of an attempt whose object is refused for good; `otherwise` where the object is at fault."""
    if isinstance(error, NamespaceTerminating | NotFound):
        return Reason.NamespaceTerminating
    return Reason.Forbidden if isinstance(error, Forbidden) else otherwise


def hold(live: LiveRun, action: Start, reason: str, message: str, *, now: float, seconds: float) -> None:
    """Begin an attempt `seconds` after `now`, and show why it is not begun yet."""
    live.held[action.id] = Held(action, now + seconds, reason)
    unit = live.state.active.get(action.id)
    if unit is not None and unit.pending != reason:
        live.inbox.append(AttemptPending(action.id, reason, message, now))


def taken(live: LiveRun, id_: AttemptId, *, now: float) -> None:
    """The API server has taken what it refused before, and no Pod's state will say so."""
    live.accepted(id_)
    unit = live.state.active.get(id_)
    if unit is not None and unit.pending is not None:
        live.inbox.append(AttemptPending(id_, None, "", now))
