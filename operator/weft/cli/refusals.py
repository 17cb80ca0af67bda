"""What the API server refused, in one line that names the mend.

Its own messages are made for those who know its code; what a user needs is which verb on which resource is missing
from which role, that the CRDs are not there, or which name was probably meant.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from weft.cli.visible import visible
from weft.kube.errors import ApiError, Forbidden, Invalid, NotFound, QuotaExceeded, Unauthorized
from weft.kube.missing import is_missing_kind, without

SHOWN = 5

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def explain(error: ApiError) -> str:
    """Give the line for an error, safe to look at: a policy's message is by whoever wrote the policy."""
    return visible(_explained(error, " ".join(error.message.split())))


def _explained(error: ApiError, text: str) -> str:
    match error:
        case Unauthorized():
            return f"the API server does not accept your credentials ({text}); log in again or choose another --context"
        case QuotaExceeded():
            return text
        case Forbidden():
            return _forbidden(text)
        case NotFound() if is_missing_kind(error):
            return without("Weft")
        case Invalid():
            return _invalid(error, text)
    return text


def _forbidden(text: str) -> str:
    match = _FORBIDDEN.search(text)
    if match is None:  # a policy or a webhook: it says itself what it wants
        return text
    namespace = match["namespace"]
    kind, where = ("Role", f" in namespace {namespace}") if namespace else ("ClusterRole", "")
    rule = f'apiGroups: ["{match["group"]}"], resources: ["{match["resource"]}"], verbs: ["{match["verb"]}"]'
    return f"{match['user']} may not {match['verb']} {match['resource']}{where}; a {kind} must allow it: {{{rule}}}"


def _invalid(error: ApiError, text: str) -> str:
    """The causes alone: path and message each, without the object's name in front."""
    causes = error.body.get("details", {}).get("causes") or ()
    lines = [": ".join(filter(None, (cause.get("field"), cause.get("message")))) for cause in causes]
    return "; ".join(lines).replace("Invalid value: ", "") if lines else text


def closest(name: str, known: Iterable[str]) -> str:
    """Give the end of a "not found": the name that was probably meant, or the names there are."""
    names = list(known)
    if close := get_close_matches(name, names, n=1):
        return f"; did you mean {close[0]}?"
    if not names:
        return "; there is none"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"; there are: {', '.join(names[:SHOWN])}{more}"
