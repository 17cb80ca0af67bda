"""Whether the API server holds people to what the operator cannot see: who decides, may create Pods, has made a run.

That is the work of the chart's ValidatingAdmissionPolicies. A cluster may be without them, by choice or because
somebody took them away, and nothing would look any different; so the operator looks now and then, and Workflows,
NodeTypes and Approvals say what is not enforced.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weft.api.conditions import Condition, ConditionType, Reason, admission_condition, find_condition, message_for
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import ApiError, Forbidden, NotFound
from weft.kube.resources import VALIDATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICY_BINDINGS

_log = logging.getLogger(__name__)

AUTHOR = "approval-author"
WITHOUT = {
    AUTHOR: "whoever may create an Approval can sign it as anyone",
    "pod-creator": "whoever may write a Workflow gets Pods, also where he may not create any",
    "run-spec": "the parameters of a run can be changed after its start",
    "run-parent": "whoever may create a WorkflowRun can pass it off as another run's child, past its queue",
}
"""What is possible without a policy, by what follows the chart's name in the policy's name and its binding's."""


class Enforcement:
    """Knows which of the policies are in force. Nothing is said before the first `look`."""

    def __init__(self, client: Client, prefix: str, *, clock: Clock) -> None:
        """Take what the policies' names begin with."""
        self._subscribers: list[Callable[[], None]] = []
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._looked: tuple[Reason, list[str]] | None = None

    async def look(self) -> None:
        """Look at the policies; what cannot be read just now stays as it was."""
        try:
            found = await asyncio.gather(*map(self._in_force, WITHOUT))
            missing = [policy for policy, there in zip(WITHOUT, found, strict=True) if not there]
            news = (Reason.PoliciesMissing if missing else Reason.PoliciesInForce), missing
        except Forbidden:
            news = Reason.PoliciesUnknown, list(WITHOUT)
        except ApiError as error:
            _log.warning("cannot look at the ValidatingAdmissionPolicies: %s", error)
            return
        if news != self._looked:
            self._looked = news
            if news[0] is not Reason.PoliciesInForce:
                _log.warning("%s", self._message(*news))
            for changed in self._subscribers:
                changed()

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Tell of every look that finds something new."""
        self._subscribers.append(changed)

    def conditions(self, previous: Iterable[Mapping[str, Any]], generation: int) -> list[Condition]:
        """Give the condition AdmissionEnforced; before the first look the one of before, if there is one."""
        if self._looked is None:
            before = find_condition(previous, ConditionType.AdmissionEnforced)
            return [Condition(**before)] if before is not None else []  # type: ignore[typeddict-item]
        message, now = self._message(*self._looked), self._clock.now()
        return admission_condition(self._looked[0], message, previous=previous, now=now, generation=generation)

    def about_author(self, message: str, by: str) -> str:
        """Give the message about a decision that counts; it tells when nothing holds its author to his own name."""
        if self._looked is None or AUTHOR not in self._looked[1]:
            return message
        reason, _ = self._looked
        return f"{message}; that it is from {by} is not enforced: {self._message(reason, [AUTHOR])}"

    async def _in_force(self, policy: str) -> bool:
        name = f"{self._prefix}-{policy}"
        try:
            await self._client.get(VALIDATING_ADMISSION_POLICIES, name)
            binding = await self._client.get(VALIDATING_ADMISSION_POLICY_BINDINGS, name)
        except NotFound:
            return False
        spec = binding["spec"]
        return spec.get("policyName") == name and "Deny" in (spec.get("validationActions") or ())

    def _message(self, reason: Reason, missing: list[str]) -> str:
        what = "; ".join(WITHOUT[policy] for policy in missing)
        return message_for(reason, what=what, policies=", ".join(f"{self._prefix}-{policy}" for policy in missing))
