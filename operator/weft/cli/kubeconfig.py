"""The kubeconfig, read as kubectl reads it, and every way it can be broken told in one line.

The official client finds credentials and renews them, but checks little of what it reads: where kubectl complains, it
raises whatever Python does, or writes to the log and goes on as nobody.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader, KubeConfigMerger

from weft.cli.impersonation import Header, impersonation
from weft.kube.errors import ApiError

NAMED_TOKEN = "BearerToken"


class NoKubeconfig(ApiError):
    """There is none, or it names no cluster."""


def read_kubeconfig(file: str | None, context: str | None) -> tuple[Configuration, str | None, tuple[Header, ...]]:
    """Give how to connect, by the context or the current one, the namespace it names, and whom to act as, in headers.

    Raises ApiError.
    """
    place = file or KUBE_CONFIG_DEFAULT_LOCATION
    with _told(place), _what_is_logged() as logged:
        merged = KubeConfigMerger(place).config  # type: ignore[no-untyped-call]
        if merged is None:
            raise NoKubeconfig(f"no cluster to talk to: there is no {place}; give --kubeconfig or set KUBECONFIG")
        contexts = [one.value for one in merged["contexts"]]
        names = ", ".join(str(one["name"]) for one in contexts) or "none"
        chosen = context or merged.value.get("current-context")
        if not chosen:
            raise ApiError(f"the kubeconfig names no current-context; give --context; there are: {names}")
        if chosen not in [one["name"] for one in contexts]:
            raise ApiError(f"there is no context {chosen!r} in the kubeconfig; there are: {names}")
        configuration = Configuration()
        loader: Any = KubeConfigLoader(  # type: ignore[no-untyped-call]
            config_dict=merged, active_context=chosen, config_base_path=None
        )
        loader.load_and_set(configuration)
        if logged and not configuration.api_key and not configuration.cert_file:
            raise ApiError(f"no cluster to talk to: {place}: {'; '.join(logged)}")
        _trim(configuration)
        there = loader.current_context["context"] or {}
        user = merged["users"].get_with_name(there["user"], safe=True) if there.get("user") else None
        headers = impersonation(user.value.get("user") or {}) if user else ()
        return configuration, there.get("namespace"), headers


@contextmanager
def _told(place: str) -> Iterator[None]:
    try:
        yield
    except ConfigException as error:
        raise NoKubeconfig(f"no cluster to talk to: {error}; give --kubeconfig or set KUBECONFIG") from None
    except OSError as error:
        text = f"{error.filename or place}: {error.strerror or error}"
        raise ApiError(f"no cluster to talk to: {text}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ApiError(f"no cluster to talk to: {place}: {' '.join(str(error).split())}") from None
    except (TypeError, AttributeError, LookupError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise ApiError(f"no cluster to talk to: {place} is no kubeconfig, or a broken one ({told})") from None


@contextmanager
def _what_is_logged() -> Iterator[list[str]]:
    """Collect the errors that the client only logs: a plugin for credentials that is not there, or that fails."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(" ".join(record.getMessage().split()))

    root, collector = logging.getLogger(), Collector(logging.ERROR)
    root.addHandler(collector)
    try:
        yield messages
    finally:
        root.removeHandler(collector)


def _trim(configuration: Any) -> None:
    """Take the line break off the token that most files end in, now and each time it is renewed. Raises ApiError."""

    def trimmed(renew: Callable[[Any], None] | None, configuration: Any) -> None:
        if renew is not None:
            renew(configuration)
        if token := configuration.api_key.get(NAMED_TOKEN):
            configuration.api_key[NAMED_TOKEN] = token.strip()
            if "\n" in token.strip() or "\r" in token.strip():
                raise ApiError("the token of the kubeconfig has a line break in it")

    renew = configuration.refresh_api_key_hook
    configuration.refresh_api_key_hook = lambda held: trimmed(renew, held)
    trimmed(None, configuration)
