"""The certificate the webhook shows: read from a mounted Secret, and read again when that changes.

The kubelet swaps a Secret's files all at once, by one symbolic link, so both files are read from the folder that the
link leads to. What is new is loaded into a context of its own first; only a certificate that fits its key is shown.
Connections that stand keep theirs; each new one gets the newest. A bad certificate never ends the process: the runs
matter more than the webhook, and the one before it is shown until it is mended.
"""

import hashlib
import logging
import ssl
from pathlib import Path

_log = logging.getLogger(__name__)

CERTIFICATE = "tls.crt"
KEY = "tls.key"


class Certificate:
    """The pair tls.crt and tls.key of a folder. `context` is for the server; `reload` brings it up to date."""

    def __init__(self, folder: Path) -> None:
        self.context = _new_context()
        self.context.sni_callback = self._choose
        self.fingerprint: str | None = None
        """SHA-256 of what is shown now; None while there is nothing to show, and handshakes fail."""
        self._folder = folder
        self._shown: ssl.SSLContext | None = None
        self._seen: tuple[str, str] | None = None

    def reload(self) -> bool:
        """Look at the files; says whether another certificate is shown from now on."""
        try:
            folder = (self._folder / CERTIFICATE).resolve().parent
            certificate, key = folder / CERTIFICATE, folder / KEY
            seen = _digest(certificate), _digest(key)
            if seen == self._seen:
                return False
            fresh = _new_context()
            fresh.load_cert_chain(certificate, key)
        except (OSError, ValueError, RuntimeError) as error:  # an SSLError is the first, a loop of links the last
            told = (str(error), "")
            if self._seen != told:
                _log.error("the webhook's certificate in %s cannot be used: %s", self._folder, error)
            self._seen = told
            return False
        self._seen, self._shown, self.fingerprint = seen, fresh, seen[0]
        _log.info("the webhook shows the certificate %s (SHA-256 of %s)", self.fingerprint[:16], CERTIFICATE)
        return True

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        """Called by each handshake, with a server name or without."""
        if self._shown is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._shown
        return None


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
