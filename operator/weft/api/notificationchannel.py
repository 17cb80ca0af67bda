"""A NotificationChannel: where the notifications of Workflows go, and how hard delivery tries."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from weft.api.base import (
    API_VERSION,
    ApiVersion,
    Conditions,
    Message,
    Model,
    ObjectName,
    ResourceModel,
    Rule,
    StatusModel,
    Timestamp,
    exactly_one,
    exactly_one_rule,
)
from weft.api.bodies import Header
from weft.api.workflow import NotificationEvent


class SecretKeyRef(Model):
    """A key of a Secret in the channel's namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)] = Field(
        description="Key in the Secret."
    )


class UrlFrom(Model):
    """An address kept in a Secret, for addresses that are a password in themselves."""

    secret_key_ref: SecretKeyRef = Field(description="The Secret's key that holds the address.")


class Webhook(Model):
    """POST CloudEvents to an address, signed as Standard Webhooks are."""

    url: Annotated[str, Field(pattern=r"^https?://.+$", max_length=2048)] | None = Field(
        None, description="Address, http or https."
    )
    url_from: UrlFrom | None = Field(None, description="The address from a Secret; instead of url.")
    signing_secret_ref: SecretKeyRef | None = Field(
        None, description="Secret to sign with (whsec_...); without it, deliveries are not signed."
    )
    headers: Annotated[list[Header], Field(max_length=32)] = Field(
        default_factory=list, description="Further headers; no secrets: everyone who can read the channel sees them."
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        found = [name for name, given in (("url", self.url), ("urlFrom", self.url_from)) if given is not None]
        if problem := exactly_one("a webhook", ["url", "urlFrom"], found):
            raise ValueError(problem)
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """One address."""
        return [exactly_one_rule("a webhook", ["url", "urlFrom"])]


class NotificationChannelSpec(Model):
    """Where notifications go and how hard delivery tries."""

    type: Literal["Webhook"] = Field(description="Kind of channel.")
    webhook: Webhook | None = Field(None, description="The address, for type Webhook.")
    events: Annotated[list[NotificationEvent], Field(max_length=6)] = Field(
        default_factory=list,
        description="Deliver only these; without any, whatever a Workflow's notifications ask for.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=300)] = Field(10, description="How long one delivery may take.")
    retry_for_seconds: Annotated[int, Field(ge=0, le=604_800)] = Field(
        86_400, description="How long a failing delivery is tried again, ever more slowly, before it is given up."
    )

    @model_validator(mode="after")
    def _has_its_settings(self) -> Self:
        if self.webhook is None:
            raise ValueError("type Webhook needs webhook")
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """The type's settings are there."""
        return [("self.type != 'Webhook' || has(self.webhook)", "type Webhook needs webhook")]


class NotificationChannelStatus(StatusModel):
    """How deliveries go."""

    observed_generation: int | None = Field(None, description="The generation of spec this status speaks of.")
    conditions: Conditions = Field(default_factory=list, description="Ready: whether deliveries can be made.")
    last_delivery_time: Timestamp | None = Field(None, description="When something was last delivered.")
    last_failure_time: Timestamp | None = Field(
        None, description="When a try to deliver last failed; it is tried again until it is given up."
    )
    last_failure_message: Message | None = Field(None, description="Why that try failed.")
    delivered: int | None = Field(
        None, ge=0, description="Deliveries made. After a crash of the operator its last seconds may be missing."
    )
    failed: int | None = Field(
        None,
        ge=0,
        description="Deliveries given up: the receiver was gone, its address is refused, or retryForSeconds were over. "
        "After a crash of the operator its last seconds may be missing.",
    )


class NotificationChannel(ResourceModel):
    """Where the notifications of Workflows go."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["NotificationChannel"] = "NotificationChannel"
    spec: NotificationChannelSpec = Field(description="Where notifications go and how hard delivery tries.")
    status: NotificationChannelStatus | None = Field(None, description="How deliveries go.")
