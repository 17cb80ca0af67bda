"""Acting as somebody else by the kubeconfig (`as`, `as-uid`, `as-groups`, `as-user-extra`), as kubectl does.

The official client passes these fields over and asks as the user whose credentials they stand beside: mostly one who
may do more, and whose name an approval would then bear.
"""

from typing import Any
from urllib.parse import quote

from kubernetes.client import ApiClient, Configuration
from urllib3 import HTTPHeaderDict

from weft.kube.errors import ApiError

Header = tuple[str, str]

_NAME_CHARACTERS = "!#$&'*+^`|"
"""What the name of a header may hold beside the letters, digits and `_.-~` that `quote` leaves."""


def impersonation(user: dict[str, Any]) -> tuple[Header, ...]:
    """Give the headers for a `user` of a kubeconfig, none if it acts as itself.

    Raises ApiError where there are groups or the like, but nobody to act as; TypeError for what no kubeconfig holds.
    """
    name, uid = _text(user.get("as")), _text(user.get("as-uid"))
    groups, extra = _texts(user.get("as-groups")), user.get("as-user-extra") or {}
    if not name:
        for field in ("as-uid", "as-groups", "as-user-extra"):
            if user.get(field):
                raise ApiError(f"the user of the kubeconfig has {field} without as: name the user to act as")
        return ()
    headers = [("Impersonate-User", name)]
    if uid:
        headers.append(("Impersonate-Uid", uid))
    headers += [("Impersonate-Group", group) for group in groups]
    for key, values in extra.items():
        header = f"Impersonate-Extra-{quote(key, safe=_NAME_CHARACTERS)}"
        headers += [(header, value) for value in _texts(values)]
    return tuple(headers)


class ImpersonatingClient(ApiClient):
    """The official client with headers that may come more than once, which its own default headers cannot."""

    def __init__(self, configuration: Configuration, headers: tuple[Header, ...]):
        """Take the connection, and the headers that every request is to have beside its own."""
        super().__init__(configuration)
        self._headers = headers

    def call_api(self, method: str, url: str, header_params: Any = None, *arguments: Any, **options: Any) -> Any:
        """Send a request, with the headers."""
        headers = HTTPHeaderDict(header_params or {})
        for name, value in self._headers:  # as UTF-8, as kubectl sends them: http.client encodes Latin-1
            headers.add(name, value.encode().decode("latin-1"))
        return super().call_api(method, url, headers, *arguments, **options)


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value or ""


def _texts(values: Any) -> list[str]:
    if values is not None and not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return [_text(value) for value in values or ()]
