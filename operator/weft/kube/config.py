"""Where the API server is, and how to be let in: what the official client's loader knows, in the form aiohttp wants.

Kubeconfig files, exec plugins, in-cluster service accounts and their many corner cases are the official client's work.
Here its `Configuration` becomes a base URL, a TLS context and an Authorization header; and since tokens and
certificates are rotated under a long-running process, it can be asked for them again. Both `reload` and `refresh` may
read files or run a plugin: call them off the event loop. What they read is put in place as a whole, once all of it is
there: a request never mixes old and new, and where reading fails, what there was stays.
"""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from kubernetes import config as kubernetes_config
from kubernetes.client import Configuration


@dataclass(frozen=True, eq=False)
class Access:
    """How a request gets through: where to, by which authorities, and as whom."""

    host: str
    proxy: str | None = None
    server_name: str | None = None
    tls: ssl.SSLContext | None = None
    authorization: str | None = None


class Connection:
    """The API server's address and our credentials, as last loaded: `access`."""

    def __init__(self, load: Callable[[], Configuration]):
        """Take what loads the configuration anew (see `load_configuration`), and load it once."""
        self._load = load
        self._reading = threading.Lock()
        self._configuration = load()
        self.access = _access(self._configuration)

    def reload(self) -> None:
        """Load everything again: address, certificates and token."""
        with self._reading:
            configuration = self._load()
            self.access = _access(configuration)
            self._configuration = configuration

    def refresh(self) -> None:
        """Ask the loader for the token again: it reads a service account's file, or runs a plugin's command."""
        with self._reading:
            authorization = _authorization(self._configuration)
            if authorization != self.access.authorization:
                self.access = replace(self.access, authorization=authorization)


def load_configuration(*, kubeconfig: str | None = None) -> Configuration:
    """Load from the named kubeconfig, else as a Pod's service account, else from the user's own kubeconfig.

    Raises kubernetes.config.ConfigException when there is none.
    """
    configuration = Configuration()
    if kubeconfig is None:
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return configuration
        except kubernetes_config.ConfigException:
            pass
    kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
        config_file=kubeconfig, client_configuration=configuration, persist_config=False
    )
    return configuration


def _access(configuration: Configuration) -> Access:
    host = configuration.host.rstrip("/")
    return Access(
        host=host,
        proxy=configuration.proxy,
        server_name=configuration.tls_server_name,
        tls=_tls_context(configuration) if host.startswith("https") else None,
        authorization=_authorization(configuration),
    )


def _authorization(configuration: Configuration) -> str | None:
    authorization: str | None = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    return authorization


def _tls_context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Python 3.13 turns this on by default; cluster authorities made by older tools lack what it demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
