"""Tells the author of an Approval whether his decision counts, in the Approval's status.

The run loop takes decisions up by itself (`approvals.decisions_for`); this controller only reports. It looks at an
Approval when it appears and again whenever its run's status was written, until the verdict is final. One that was made
without `weft approve` gets its run for an owner, too: else it would stay when the run has long been deleted.
"""

import logging
import random
from collections.abc import Callable
from typing import Any

from weft.api.objects import Key, Obj, is_owned_by, key_of, uid_of, version_of
from weft.controllers.approvals import ACCEPTED, Verdict, judge, names, refused
from weft.controllers.catalog import Catalog, write_status
from weft.controllers.enforcement import Enforcement
from weft.controllers.run_facts import identity, is_over, rerun_known
from weft.engine.budget import read_nodes
from weft.engine.state import RunState
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import Forbidden, NotFound
from weft.kube.resources import APPROVALS
from weft.kube.store import RunKey
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics
from weft.render.names import run_reference

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
"""From a run's news to looking at its Approvals: the run loop goes first, and a busy run is looked at once."""
LOOK_AGAIN_SECONDS = 30.0
"""While the run is not in hand: a restored run may have no news to write."""
LONGEST_WAIT_FOR_RUN = 60.0
"""How long the run may be unknown: its creation is told by another watch."""


class ApprovalStatus:
    """Writes the status of Approvals. Subscribe `on_approval` and `on_run` to the catalog, then `start`."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        *,
        find_state: Callable[[RunKey], RunState | None],
        enforcement: Enforcement,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take what it works with; `find_state` gives the state of a run that is active."""
        self._client = client
        self._catalog = catalog
        self._find_state = find_state
        self._enforcement = enforcement
        self._clock = clock
        self._unknown_since: dict[str, float] = {}  # Approvals by UID: since when we have missed their runs
        self._queue: WorkQueue[Key] = WorkQueue(
            "approvals", self._look, workers=2, clock=clock, rng=rng, spawn=spawn, metrics=metrics
        )

    def start(self) -> None:
        """Start the workers and look at every Approval once."""
        self._queue.start()
        for approval in self._catalog.approvals:
            self.on_approval("ADDED", approval, None)

    async def shutdown(self) -> None:
        """Finish what is due and stop."""
        await self._queue.shutdown()

    def on_approval(self, event_type: str, approval: Obj, old: Obj | None) -> None:
        """Take in a change of an Approval: the catalog's subscriber."""
        if event_type != "DELETED" and not _is_judged(approval):
            self._queue.add_after(key_of(approval), self._clock.now() + PAUSE_SECONDS)
        else:
            self._unknown_since.pop(uid_of(approval), None)

    def on_run(self, event_type: str, run: Obj, old: Obj | None) -> None:
        """Take in a change of a run: the catalog's subscriber."""
        for approval in self._catalog.approvals_of(identity(run)):
            self.on_approval("MODIFIED", approval, None)

    async def _look(self, key: Key) -> None:
        approval = self._catalog.approvals.get(*key)
        if approval is None or _is_judged(approval):
            return
        verdict = self._verdict(approval)
        if verdict is None:
            return
        await self._give_to_its_run(approval)
        message = verdict.message
        if verdict.accepted:
            message = self._enforcement.about_author(message, approval["spec"]["by"])
        status = {"accepted": verdict.accepted, "reason": str(verdict.reason), "message": message}
        await write_status(self._client, self._catalog, APPROVALS, key, status)

    async def _give_to_its_run(self, approval: Obj) -> None:
        named, (namespace, name) = approval["spec"]["run"], key_of(approval)
        run = self._catalog.run(RunKey(namespace, named["uid"]))
        if run is None or key_of(run).name != named["name"] or is_owned_by(approval, named["uid"]):
            return
        others = approval["metadata"].get("ownerReferences") or ()
        owners = [*others, run_reference(named["name"], named["uid"])]
        body = {"metadata": {"resourceVersion": version_of(approval), "ownerReferences": owners}}
        try:
            await self._client.patch(APPROVALS, name, body, namespace=namespace)
        except NotFound:
            pass
        except Forbidden as error:  # whether it counts is more important
            _log.warning("Approval %s/%s will not go with its run: %s", namespace, name, error)

    def _verdict(self, approval: Obj) -> Verdict | None:
        named, uid = approval["spec"]["run"]["name"], approval["spec"]["run"]["uid"]
        run_key = RunKey(key_of(approval).namespace, uid)
        run, state = self._catalog.run(run_key), self._find_state(run_key)
        if run is None:
            now = self._clock.now()
            until = self._unknown_since.setdefault(uid_of(approval), now) + LONGEST_WAIT_FOR_RUN
            if now < until:
                self._queue.add_after(key_of(approval), until)
                return None
            return refused(f"there is no run of UID {uid} in this namespace")
        if key_of(run).name != named:
            return refused(f"the run of UID {uid} is {key_of(run).name} and not {named}")
        if state is not None:
            return judge(approval, self._catalog.approvals_of(run_key), state)
        if not is_over(run):
            self._queue.add_after(key_of(approval), self._clock.now() + LOOK_AGAIN_SECONDS)
            return None
        if (approval["spec"].get("rerunGeneration") or 0) > rerun_known(run):
            return None  # for a rerun that is still to come: the run's news bring it up again
        return ACCEPTED if _was_counted(approval, run.get("status") or {}) else refused("the run has ended")


def _is_judged(approval: Obj) -> bool:
    return (approval.get("status") or {}).get("accepted") is not None


def _was_counted(approval: Obj, status: dict[str, Any]) -> bool:
    """Say whether a run that has ended remembers the decision."""
    spec = approval["spec"]
    made = {"by": spec["by"], "decision": spec["decision"]}
    return any(
        made.items() <= decision.items()
        for entry in read_nodes(status, {})
        if names(spec, entry["name"])
        for decision in entry.get("decisions", ())
    )
