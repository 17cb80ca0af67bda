"""Authorities and the certificates they sign, made by the openssl command, as a Secret of type kubernetes.io/tls is."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str

    def write(self, folder: Path) -> None:
        """As a mounted Secret has it."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tls.crt").write_text(self.certificate)
        (folder / "tls.key").write_text(self.key)


class Authority:
    """Signs certificates for servers and clients; all its files are in `folder`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        self.certificate = self._make("ca", f"/CN={name}", extensions).certificate

    def server(self, *names: str) -> Pair:
        """A certificate for a server of these names (or IP addresses)."""
        alternatives = ",".join(f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in names)
        return self._signed(f"/CN={names[0]}", (f"subjectAltName={alternatives}", "extendedKeyUsage=serverAuth"))

    def _signed(self, subject: str, extensions: tuple[str, ...]) -> Pair:
        signer = ("-CA", str(self._folder / "ca.crt"), "-CAkey", str(self._folder / "ca.key"))
        return self._make("leaf", subject, ("basicConstraints=critical,CA:FALSE", *extensions), signer)

    def _make(self, file: str, subject: str, extensions: tuple[str, ...], signer: tuple[str, ...] = ()) -> Pair:
        key, certificate = self._folder / f"{file}.key", self._folder / f"{file}.crt"
        command = ["openssl", "req", "-x509", "-new", "-nodes", "-days", "30", "-newkey", "ec"]
        command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", subject]
        command += ["-keyout", str(key), "-out", str(certificate)]
        command += [word for extension in extensions for word in ("-addext", extension)]
        subprocess.run([*command, *signer], check=True, capture_output=True)
        return Pair(certificate.read_text(), key.read_text())


def signing_request(folder: Path, subject: str) -> str:
    """A request for a client certificate of this subject, in PEM; its key is client.key in the folder."""
    command = ["openssl", "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made = subprocess.run(
        [*command, "-subj", subject, "-keyout", str(folder / "client.key")], check=True, capture_output=True, text=True
    )
    return made.stdout
