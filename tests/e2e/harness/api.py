"""The API server for tests: plain objects, and watches that start where a list ended.

The official client knows kubeconfigs and credentials; its typed models are left aside, since what the tests compare is
what the API server says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from urllib3 import HTTPHeaderDict
from weft.kube.deep import parsed

Obj = dict[str, Any]


class Refused(Exception):
    """The API server's answer was no; `code` is its HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Api:
    """Calls the API server that KUBECONFIG names. Paths are those of the REST API, `/api/v1/...`."""

    def __init__(self, *, certificate: Path | None = None, key: Path | None = None) -> None:
        """Call as the administrator that KUBECONFIG names, or as whom a client certificate names."""
        configuration = Configuration()
        config.load_kube_config(client_configuration=configuration)
        if certificate is not None and key is not None:
            configuration.cert_file, configuration.key_file = str(certificate), str(key)
            configuration.api_key = {}
        configuration.connection_pool_maxsize = 64
        self.host: str = configuration.host
        self._rest = ApiClient(configuration).rest_client
        token = configuration.get_api_key_with_prefix("authorization")
        self._headers = {"authorization": token} if token else {}

    def get(self, path: str, **query: str) -> Obj:
        """Give an object, or a list with `items`."""
        return self._json("GET", path, query=query)

    def text(self, path: str, *, seconds: float | None = None, **query: str) -> str:
        """Give the text at a path: logs, or what a Pod's server answers through the API server's proxy.

        Raises urllib3's HTTPError when there is no answer within so many seconds: the Pod may be frozen.
        """
        return self._call("GET", path, query=query, seconds=seconds).decode()

    def post(self, path: str, body: Obj, *, as_user: str | None = None, groups: tuple[str, ...] = ()) -> Obj:
        """Create an object, as somebody else when `as_user` is given."""
        headers: list[tuple[str, str]] = [("content-type", "application/json")]
        if as_user:
            headers += [("impersonate-user", as_user), *(("impersonate-group", group) for group in groups)]
        return self._json("POST", path, query={"fieldValidation": "Strict"}, body=body, headers=headers)

    def patch(self, path: str, body: Obj) -> Obj:
        """Merge a patch into an object."""
        return self._json(
            "PATCH",
            path,
            query={"fieldValidation": "Strict"},
            body=body,
            headers=[("content-type", "application/merge-patch+json")],
        )

    def delete(self, path: str, **query: str) -> None:
        """Delete an object; one that is gone already counts as deleted."""
        try:
            self._call("DELETE", path, query=query)
        except Refused as refused:
            if refused.code != 404:
                raise

    def watch(self, path: str, version: str, **query: str) -> Iterator[tuple[str, Obj]]:
        """Give the events since `version` as (type, object); ends when the server closes the watch."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3000", **query}
        answer = self._open("GET", path, query=query, headers=[], body=None)
        rest = b""
        for chunk in answer.stream(2**16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = parsed(line)
                yield event["type"], event["object"]

    def _json(self, method: str, path: str, **rest: Any) -> Obj:
        answer: Obj = parsed(self._call(method, path, **rest))
        return answer

    def _call(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: Obj | None = None,
        headers: list[tuple[str, str]] | None = None, seconds: float | None = None,
    ) -> bytes:  # fmt: skip
        answer = self._open(method, path, query=query or {}, headers=headers or [], body=body, seconds=seconds)
        data: bytes = answer.data
        return data

    def _open(
        self, method: str, path: str, *, query: dict[str, str], headers: list[tuple[str, str]], body: Obj | None,
        seconds: float | None = None,
    ) -> Any:  # fmt: skip
        sent = HTTPHeaderDict(self._headers)
        for name, value in headers:
            sent.add(name, value)
        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        data = json.dumps(body).encode() if body is not None else None
        ask = self._rest.pool_manager.request
        retries = None if seconds is None else False
        answer = ask(method, url, headers=sent, body=data, preload_content=False, timeout=seconds, retries=retries)
        if not 200 <= answer.status < 300:
            raise Refused(answer.status, answer.data.decode(errors="replace"))
        return answer
