"""Every setting of the operator, read once at start from the environment's `WEFT_*` variables.

The environment is an argument: nothing here reads `os.environ`. The descriptions are the documentation
(docs/reference/settings.md is generated from them), and every wrong value is reported at once, by the variable's name.
Other variables are ignored on purpose: Kubernetes itself sets `WEFT_SERVICE_HOST` and the like for a Service named
`weft`, which is also why no setting's name ends in a bare service name and `_PORT`.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

PREFIX = "WEFT_"

_MAPPED = IPv6Network("::ffff:0:0/96")


class SettingsError(ValueError):
    """Settings that cannot be used; the message has one line for each, with the variable's name and the mend."""


def _words(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _networks(value: object) -> object:
    return tuple(map(_network, value.replace(",", " ").split())) if isinstance(value, str) else value


def _network(text: str) -> IPv4Network | IPv6Network:
    """Read a network; one of IPv4 addresses that is written as IPv6 is one of IPv4: that is what is connected to."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((network.network_address.packed[12:], network.prefixlen - _MAPPED.prefixlen))
    return network


class Settings(BaseModel):
    """The operator's settings. `Settings()` has the defaults, `Settings.from_env` reads the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        default=(), description="Namespaces to work in, separated by commas. Empty: all."
    )
    workers: int = Field(default=16, ge=1, le=1024, description="Runs that are worked on at once.")
    api_concurrency: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="Writes in flight to the API server, at most; fewer while it is overloaded.",
    )
    lease_enabled: bool = Field(
        default=True,
        description="Elect a leader by a Lease. Turn off only where a single operator is certain (development).",
    )
    lease_namespace: str = Field(default="weft-system", min_length=1, description="Namespace of the Lease.")
    lease_name: str = Field(default="weft-operator", min_length=1, description="Name of the Lease.")
    identity: str = Field(
        default="",
        description="This operator's name in the Lease, unique among all replicas; the chart sets the Pod's name. "
        "Empty: the host's name and a random suffix.",
    )
    shards: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Shards that the namespaces are divided into, by a hash of their names; all replicas work, each on "
        "its share of the shards. 0 or 1: one replica leads, the others stand by.",
    )
    metrics_listen_port: int = Field(default=8080, ge=1, le=65535, description="Port that serves /metrics.")
    probe_listen_port: int = Field(default=8081, ge=1, le=65535, description="Port that serves the health probes.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe messages that are logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Log lines for people (text) or for collectors (json)."
    )
    status_interval_seconds: float = Field(
        default=0.2, ge=0, le=60, description="Progress of one run is written at most this often; its end at once."
    )
    status_bytes_per_second: int = Field(
        default=262144, ge=1024, description="Bytes of status written for one run in a second, at most."
    )
    job_controller: Literal["managedBy", "builtin"] = Field(
        default="managedBy",
        description="Who carries out the Jobs: Weft by spec.managedBy, or the built-in Job controller. Weft falls back "
        "to the built-in one by itself where the server does not know the field.",
    )
    notify_allowed_cidrs: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks that http nodes and notifications may call whatever the other rules say, separated by "
        "commas.",
    )
    notify_denied_cidrs: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks that http nodes and notifications may not call, separated by commas, 10.0.0.0/8 for one. "
        "Where an address is in an allowed network, too, the narrower one counts.",
    )
    resource_impersonation: bool = Field(
        default=False,
        description="Carry out resource nodes, as the run's service account. Off: such nodes fail.",
    )
    pod_security: Literal["namespace", "restricted"] = Field(
        default="namespace",
        description="Where Pods of nodes are made to pass Pod Security restricted: namespace, where its label enforces "
        "that; restricted, everywhere. What a podTemplate says comes first.",
    )
    admission_policies: str = Field(
        default="weft",
        min_length=1,
        description="What the names of the chart's ValidatingAdmissionPolicies begin with: its full name. Where they "
        "are not in force, Workflows, NodeTypes and Approvals say so.",
    )
    webhook_certificate_folder: str = Field(
        default="",
        description="Folder of tls.crt and tls.key for the validating webhook, read again when they change. Empty: no "
        "webhook.",
    )
    webhook_listen_port: int = Field(
        default=9443, ge=1, le=65535, description="Port that serves the validating webhook."
    )
    resync_seconds: float = Field(
        default=600, ge=10, description="Every active run is looked at at least this often, events or not."
    )

    @field_validator("shards")
    @classmethod
    def _shards_need_leases(cls, shards: int, info: ValidationInfo) -> int:
        if shards > 1 and not info.data.get("lease_enabled", True):
            raise ValueError(f"needs Leases: leave {variable('lease_enabled')} true, or set it to 0")
        return shards

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings from an environment; variables that are empty count as not set. Raises SettingsError."""
        given = {name: environment.get(variable(name), "").strip() for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            problems = ((str(problem["loc"][0]), problem["msg"]) for problem in error.errors())
            lines = (f"{variable(name)}: {_mend(message)}, got {given[name]!r}" for name, message in problems)
            raise SettingsError("\n".join(lines)) from error


def variable(name: str) -> str:
    """Give the environment variable of a setting: `log_level` is `WEFT_LOG_LEVEL`."""
    return PREFIX + name.upper()


def _mend(message: str) -> str:
    return message.replace("Input should be", "must be").removeprefix("Value error, ")
