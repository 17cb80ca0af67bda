"""The operator put together: where all controllers of one realm are wired.

`Operator` knows nothing of kopf, sockets or the system's clock: it is handed a client, a clock, a
source of randomness and a way to start tasks, so that the whole of it can run in one process on a
simulated API server. `process` hands it the real ones.

Its life: its feed fills its caches, whether it leads or not. `lead` starts the work: everything is listed
once more, so that nothing is decided on old news; queues and locks are taken from the statuses; then
the workers start. It leads once: whoever has stopped is thrown away. `single` has one for everything,
`sharded` one for each shard that the process holds; each works on its realm and knows nothing of others.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from weft.api.notificationchannel import NotificationChannel
from weft.api.objects import Key, Obj, key_of, owner_of
from weft.api.problems import parse
from weft.api.workflow import Notification
from weft.controllers.approval_status import ApprovalStatus
from weft.controllers.approvals import decisions_for
from weft.controllers.attempts import Attempts
from weft.controllers.catalog import Catalog, spec_changed
from weft.controllers.channel_status import ChannelStatus
from weft.controllers.child_controls import ChildControls
from weft.controllers.child_runs import ChildRuns
from weft.controllers.cleanup import Cleanup
from weft.controllers.compiler import Compiler
from weft.controllers.enforcement import Enforcement
from weft.controllers.feed import Feed
from weft.controllers.hooks import Hooks
from weft.controllers.jobs import Jobs
from weft.controllers.lent_keys import LentKeys
from weft.controllers.live import LiveRun
from weft.controllers.loader import Loader
from weft.controllers.locks import Holder, Locks
from weft.controllers.orphans import ChildKey, Orphans, child_key
from weft.controllers.outside import Outside
from weft.controllers.passes import Passes
from weft.controllers.perform import Performer
from weft.controllers.pod_security import PodSecurity
from weft.controllers.queue_status import QueueStatus
from weft.controllers.queues import Queues, Verdict
from weft.controllers.record import Record
from weft.controllers.removal import Removal
from weft.controllers.results import Results
from weft.controllers.retention import jobs_to_delete, kept_jobs
from weft.controllers.revisions import Revisions, revisions_named
from weft.controllers.run_facts import deleted, finished, identity, parent_of, workflow_of
from weft.controllers.runs import RunController
from weft.controllers.slow_starts import SlowStarts
from weft.controllers.thinning import Thinning
from weft.controllers.workflows import Readiness
from weft.controllers.writer import StatusWriter, Superseded
from weft.engine.observation import LockAnswer, LockLost, Observation
from weft.engine.state import RunState
from weft.kube.client import Client
from weft.kube.clock import Aside, Clock, Spawn
from weft.kube.errors import ApiError
from weft.kube.events import Recorder
from weft.kube.realm import Realm
from weft.kube.resources import APPROVALS, NODE_TYPES, WORKFLOW_QUEUES, WORKFLOW_RUNS, WORKFLOWS
from weft.kube.store import ChildStore, RunKey, run_key_of
from weft.kube.tasks import Tasks
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics
from weft.notify.deliver import Sender
from weft.notify.guarded_http import GuardedHttp
from weft.notify.ledger import ConfigMapLedger, NotifiedRun
from weft.notify.outbox import NoChannel, Outbox
from weft.notify.secrets import secret_reader
from weft.render.names import run_labels
from weft.render.observe import has_ended
from weft.settings import Settings

_log = logging.getLogger(__name__)

_ENDINGS = frozenset({"RunSucceeded", "RunFailed", "RunCancelled"})
"""Reasons of the Events that tell how a run ended."""


class Operator:
    """All controllers of one realm."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        *,
        feed: Feed,
        realm: Realm,
        http: GuardedHttp,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        aside: Aside,
        metrics: Metrics,
        identity: str,
        on_broken: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.leading = False
        self._clock = clock
        self._tasks = spawn = Tasks(spawn, on_broken=on_broken)
        self._feed = feed
        self.client = client
        self.catalog = Catalog(monotonic=clock.monotonic)
        self.store = ChildStore(monotonic=clock.monotonic)
        self.recorder = Recorder(self.client, clock=clock, rng=rng, metrics=metrics, instance=identity)
        compiler = Compiler(aside, spawn=spawn)
        self.revisions = Revisions(self.client, compiler, realm=realm)
        common: dict[str, Any] = {"clock": clock, "rng": rng, "spawn": spawn, "metrics": metrics}
        self.queues = Queues(
            wake=self._wake, counted=lambda queue: self.queue_status.counted(queue),
            find_run=self.catalog.run, child_runs=self.catalog.child_runs,
        )  # fmt: skip
        self.queue_status = QueueStatus(self.client, self.catalog, count=self.queues.count, **common)
        self.enforcement = Enforcement(self.client, settings.admission_policies, clock=clock)
        self.readiness = Readiness(
            self.client, self.catalog, compiler, self.revisions, self.recorder, self.enforcement, **common
        )
        removal = Removal(self.client, self.store, clock=clock)
        self.cleanup = Cleanup(self.client, self.catalog, self.store, removal, self.revisions, **common)
        self.approval_status = ApprovalStatus(
            self.client, self.catalog, find_state=self._state_of, enforcement=self.enforcement, **common
        )
        self.results = Results(self.client, clock=clock, realm=realm)
        self.locks = Locks(granted=self._lock_granted, lost=self._lock_lost)
        self._lent_keys = LentKeys(self.locks, self.store, is_active=self._is_active)
        attempts = Attempts(wake=self._news, clock=clock, spawn=spawn)
        controls = ChildControls(self.client, self.catalog.runs)
        child_runs = ChildRuns(
            self.client, self.catalog.runs, controls, attempts, remember=self._remember_run, clock=clock
        )
        impersonate = settings.resource_impersonation
        outside = Outside(
            self.client, attempts, child_runs, http, wake=self._news, clock=clock, impersonate=impersonate
        )
        managed = settings.job_controller == "managedBy"
        security = PodSecurity(self.client, everywhere=settings.pod_security == "restricted", clock=clock)
        jobs = Jobs(
            self.client,
            self.store,
            removal,
            self.locks,
            security,
            clock=clock,
            managed=managed,
            hop=metrics.hop.observe,
        )
        self.channel_status = ChannelStatus(self.client, self.catalog, **common)
        self.outbox = Outbox(
            ledger=ConfigMapLedger(self.client, labels=self._labels_of, realm=realm),
            find_channel=self._channel,
            find_run=self.catalog.run,
            send=Sender(http, read_secret=secret_reader(self.client), clock=clock).send,
            on_tried=self.channel_status.tried,
            on_trouble=self._notification_failed,
            clock=clock,
            rng=rng,
            spawn=spawn,
            metrics=metrics,
        )
        loader = Loader(
            self.client,
            compiler,
            self.revisions,
            find_workflow=self.catalog.workflows.get,
            find_node_types=self.catalog.node_type_specs,
            ask_queue=self._ask_queue,
            clock=clock,
        )
        writer = StatusWriter(
            self.client, clock=clock, metrics=metrics, interval=settings.status_interval_seconds,
            bytes_per_second=settings.status_bytes_per_second, active_runs=lambda: len(self.runs),
        )  # fmt: skip
        hooks = Hooks(
            begins=self.queues.begins,
            idle=self._lent_keys.take_back,
            restored=self._lent_keys.give_back,
            forgotten=self._run_forgotten,
            written=self._status_written,
            refused=self._run_refused,
            refresh=self._remember_run,
            vanished=lambda run: self.catalog.apply(WORKFLOW_RUNS, "DELETED", run),
            decisions=self._decisions,
            children=lambda live: self.catalog.child_runs(live.run_key),
            jobs_to_delete=self._jobs_to_delete,
        )
        self.thinning = Thinning(self.store, removal, clock=clock)
        record = Record(writer, jobs, self.thinning, hooks=hooks, clock=clock)
        self.slow_starts = SlowStarts(
            self.client, self.store, find_live=lambda run: self.runs.live(run), wake=self._wake, clock=clock
        )
        passes = Passes(
            self.store,
            performer=Performer(self.store, jobs, outside, self.locks, self.results, self._say, clock=clock),
            jobs=jobs,
            child_runs=child_runs,
            controls=controls,
            slow_starts=self.slow_starts,
            record=record,
            hooks=hooks,
            clock=clock,
            metrics=metrics,
            resync=settings.resync_seconds,
        )
        self.runs = RunController(
            self.client,
            self.store,
            find_run=self.catalog.runs.get,
            loader=loader,
            jobs=jobs,
            controls=controls,
            record=record,
            passes=passes,
            hooks=hooks,
            clock=clock,
            metrics=metrics,
        )
        orphans = Orphans(self.client, self.store, active=self._is_active, find_run=self.catalog.run, clock=clock)
        self._run_queue = self._queue("runs", self.runs.reconcile, settings.workers, rng)
        self.runs.queue = self._run_queue
        self._orphan_queue = self._queue("orphans", orphans.reconcile, 4, rng)
        self.catalog.subscribe(WORKFLOW_RUNS, self._on_run)
        self.catalog.subscribe(WORKFLOW_RUNS, self.queues.on_run)
        self.catalog.subscribe(WORKFLOW_RUNS, self.approval_status.on_run)
        self.catalog.subscribe(WORKFLOWS, self._on_workflow)
        self.catalog.subscribe(NODE_TYPES, self._on_node_type)
        self.catalog.subscribe(WORKFLOW_QUEUES, self.queues.on_queue)
        self.catalog.subscribe(APPROVALS, self._on_approval)
        self.catalog.subscribe(APPROVALS, self.approval_status.on_approval)
        self.readiness.follow()
        self.cleanup.follow()

    # --- life ---

    async def lead(self) -> None:
        """Start the work. Raises ApiError when the API server cannot be read."""
        await self._feed.refresh()
        for queue in self.catalog.queues:
            self.queues.configure(key_of(queue), queue["spec"])
        self.queues.restore(self.catalog.runs)
        self._lent_keys.restore(self.catalog.runs)
        self.channel_status.start()
        await self.outbox.restore()
        self.leading = True
        self._tasks(self.recorder.run(), name="events")
        self._tasks(self.slow_starts.run(), name="slow starts")
        self._tasks(self.thinning.run(), name="thinning")
        for part in self._working_parts():
            part.start()
        for run in self.catalog.runs:
            self._wake(key_of(run))
        self._tasks(self._observe_all(), name="observe")
        for child in (*self.store.pods, *self.store.jobs):
            if not self._is_active(run_key_of(child)):  # else its run looks after it, and says when it is over
                self._orphan_queue.add(child_key(child))
        self._tasks(self._resync(), name="resync")
        counts = len(self.catalog.runs), len(self.store.jobs), len(self.store.pods)
        _log.info("leading: %d runs, %d Jobs, %d Pods", *counts)

    async def stop(self) -> None:
        """Finish what is in hand and stop."""
        if self.leading:
            self.leading = False
            for part in self._working_parts():
                await part.shutdown()
            await self.outbox.shutdown()
            await self.channel_status.shutdown()
        await self.drop()

    async def drop(self) -> None:
        """End at once, in the middle of whatever is going on: after it nothing of this runs any more."""
        self.leading = False
        await self._tasks.end()
        self.runs.drop()

    def _working_parts(self) -> tuple[WorkQueue[Any] | Readiness | Cleanup | QueueStatus | ApprovalStatus, ...]:
        parts = self.readiness, self.cleanup, self.queue_status, self.approval_status
        return self._run_queue, self._orphan_queue, *parts

    async def _resync(self) -> None:
        """What kopf does not tell (deletions missed by its watch) is found by listing anew; what nobody names goes."""
        while True:
            try:
                await self.enforcement.look()
            except Exception:
                _log.exception("cannot look at the ValidatingAdmissionPolicies")
            await self._clock.sleep(self.settings.resync_seconds)
            try:
                await self._feed.resync(self.settings.resync_seconds / 2)
                await self.revisions.sweep(lambda: revisions_named(self.catalog.runs, self.catalog.workflows))
                await self.results.sweep()
            except Exception:
                _log.exception("resync failed; the next one is in %g s", self.settings.resync_seconds)

    # --- events in ---

    def _on_run(self, event_type: str, run: Obj, old: Obj | None) -> None:
        if event_type == "DELETED" or spec_changed(run, old):
            self._wake(key_of(run))
        over = event_type == "DELETED" or (old is not None and _is_over(run) and not _is_over(old))
        if over and self.runs.live(identity(run)) is None:  # else the run loop does it: this one may never be read
            self._let_go(identity(run))
        parent = parent_of(run)
        if parent is not None and (event_type == "DELETED" or finished(run)):
            live = self.runs.live(parent)
            if live is not None:
                self._news(live.key)

    def _on_workflow(self, event_type: str, workflow: Obj, old: Obj | None) -> None:
        if event_type == "ADDED" and self.leading:
            self._wake_waiting(key_of(workflow))
        elif event_type == "DELETED":  # its whole namespace may go
            self.revisions.doubt(key_of(workflow).namespace)

    def _on_node_type(self, event_type: str, node_type: Obj, old: Obj | None) -> None:
        if event_type == "ADDED" and self.leading:  # whoever comes to lead wakes all
            for workflow in self.catalog.workflows_using(*key_of(node_type)):
                self._wake_waiting(key_of(workflow))

    def _wake_waiting(self, workflow: Key) -> None:
        """Wake the runs that wait for their Workflow, or for what it uses."""
        for run in self.catalog.runs_of_workflow(*workflow):
            if not finished(run) and not (run.get("status") or {}).get("startTime"):
                self._wake(key_of(run))

    def _on_approval(self, event_type: str, approval: Obj, old: Obj | None) -> None:
        live = self.runs.live(RunKey(key_of(approval).namespace, approval["spec"]["run"]["uid"]))
        if live is not None and old is None:
            self._news(live.key)

    def on_job(self, event_type: str, job: Obj, old: Obj | None) -> None:
        """Hear of a change of a Job."""
        self.store.on_job(event_type, job, old)
        gone = job if event_type == "DELETED" else None
        if not self.runs.touch(run_key_of(job), "Job", key_of(job).name, gone, ended=False) and gone is None:
            self._orphan_queue.add(child_key(job))

    def on_pod(self, event_type: str, pod: Obj, old: Obj | None) -> None:
        """Hear of a change of a Pod."""
        self.store.on_pod(event_type, pod, old)
        ended = has_ended(pod) and (old is None or not has_ended(old))  # just now, and only once
        name = key_of(pod).name
        gone = pod if event_type == "DELETED" else None
        run = run_key_of(pod)
        if not self.runs.touch(run, "Pod", name, gone, ended=ended):
            owner = owner_of(pod, "Job")
            if (ended or gone is not None) and not self._is_active(run):
                self._lent_keys.forget(run)
            if gone is None:
                self._orphan_queue.add(child_key(pod))
            elif owner is not None:
                self._orphan_queue.add(ChildKey("Job", key_of(pod).namespace, owner["name"]))

    def _ask_queue(self, run: Obj) -> Verdict:
        """Ask for a place, but not for a run that was deleted meanwhile: nobody would give that place back."""
        known = self.catalog.run(identity(run))
        if known is None or deleted(known):
            raise Superseded(f"{key_of(run)} is gone")
        return self.queues.ask(run)

    def _lock_granted(self, holder: Holder) -> None:
        self._tell(holder.run, LockAnswer(holder.gate, granted=True))

    def _lock_lost(self, holder: Holder) -> None:
        self._tell(holder.run, LockLost(holder.gate))

    def _tell(self, run: RunKey, seen: Observation) -> None:
        live = self.runs.live(run)
        if live is not None:
            live.inbox.append(seen)
            self._news(live.key)

    def _wake(self, key: Key) -> None:
        self._run_queue.add(key)

    def _news(self, key: Key) -> None:
        """What a node of the run waits for has come: it goes before what nobody waits for."""
        self._run_queue.add(key, first=True)

    def _decisions(self, live: LiveRun) -> list[Observation]:
        found = self.catalog.approvals_of(live.run_key)
        approvals = [approval for approval in found if approval["spec"]["run"]["name"] == live.key.name]
        return list(decisions_for(live.state, approvals)) if approvals else []

    def _is_active(self, run_key: RunKey) -> bool:
        run = self.catalog.run(run_key)
        return self.runs.live(run_key) is not None or (run is not None and not _is_over(run))

    def _state_of(self, run: RunKey) -> RunState | None:
        live = self.runs.live(run)
        return live.state if live is not None else None

    def _jobs_to_delete(self, live: LiveRun) -> set[str]:
        families = self.store.children(*live.run_key).jobs
        return {key_of(job).name for job in jobs_to_delete(kept_jobs(live.frozen), families)}

    # --- events out ---

    def _run_forgotten(self, key: Key, uid: str) -> None:
        run_key = RunKey(key.namespace, uid)
        run = self.catalog.run(run_key)
        if run is None or _is_over(run):
            self._let_go(run_key)

    def _let_go(self, run: RunKey) -> None:
        """A run is over: its keys are free, and what stands of it is looked at by itself."""
        if self.catalog.run(run) is None:  # else it may be run again, and must not be told of twice
            self.outbox.forget(run)
        self._lent_keys.forget(run)
        children = self.store.children(*run)
        for child in (*(family.job for family in children.jobs), *children.pods):
            self._orphan_queue.add(child_key(child))  # what was told of it was told to the run

    def _remember_run(self, run: Obj) -> None:
        self.catalog.remember(WORKFLOW_RUNS, run)

    def _status_written(self, live: LiveRun, run: Obj) -> None:
        self._remember_run(run)
        known = self.catalog.run(identity(run))  # None: its deletion was told before the answer came
        if known is not None and not _is_over(run):  # one that has ended gave its place back just now
            self.queues.started(run)
        self._observe(known or run, live.frozen)

    def _run_refused(self, run: Obj, phase: str, message: str) -> None:
        """A run has ended that never began: people hear of it like of any other."""
        self.recorder.record(run, "Warning", f"Run{phase}", message, urgent=True)
        self._observe(run)
        if self.catalog.run(identity(run)) is None:  # its deletion was told before the answer came
            self.outbox.forget(identity(run))

    async def _observe_all(self) -> None:
        """Let the outbox see what was told while nobody was there, run by run as it is then."""
        for run_key in [identity(run) for run in self.catalog.runs]:
            run = self.catalog.run(run_key)
            if run is None:
                continue
            inline = run["spec"].get("workflow") is not None  # cannot have changed, and need not be asked for
            revision = None if inline else (run.get("status") or {}).get("workflowRevision")
            if finished(run) and not (inline or revision):  # refused: its Workflow may ask for other news by now
                continue
            try:
                frozen = await self.revisions.spec(key_of(run).namespace, revision) if revision else None
                if (known := self.catalog.run(run_key)) is not None:  # else it has gone meanwhile
                    self._observe(known, frozen)
            except ApiError as error:
                _log.warning("run %s/%s: its revision cannot be read, nobody is notified: %s", *key_of(run), error)
            except Exception:  # the others are told of nevertheless
                _log.exception("run %s/%s: nobody is notified", *key_of(run))

    def _observe(self, run: Obj, frozen: dict[str, Any] | None = None) -> None:
        """Let the outbox see a run's status; which channels want it stands in the spec it was started with."""
        spec = frozen if frozen is not None else run["spec"].get("workflow") or self._workflow_spec(run)
        wanted = [Notification.model_validate(each) for each in spec.get("notifications") or ()]
        if wanted:
            self.outbox.observe(run, wanted)

    def _workflow_spec(self, run: Obj) -> dict[str, Any]:
        workflow = self.catalog.workflows.get(key_of(run).namespace, workflow_of(run) or "")
        return workflow["spec"] if workflow is not None else {}

    def _say(self, live: LiveRun, type_: str, reason: str, message: str) -> None:
        run = self.catalog.runs.get(*live.key)
        if run is not None:
            kind: Literal["Normal", "Warning"] = "Warning" if type_ == "Warning" else "Normal"
            self.recorder.record(run, kind, reason, message, urgent=reason in _ENDINGS)

    def _notification_failed(self, notified: NotifiedRun, message: str) -> None:
        run = self.catalog.run(RunKey(notified.namespace, notified.uid))
        if run is not None:
            self.recorder.record(run, "Warning", "NotificationFailed", message)

    def _labels_of(self, notified: NotifiedRun) -> dict[str, str]:
        """The labels of what is kept for a run; one that is gone takes it along, whatever it says."""
        run = self.catalog.run(RunKey(notified.namespace, notified.uid))
        return run_labels(notified.name, (workflow_of(run) if run is not None else None) or "")

    def _channel(self, namespace: str, name: str) -> NotificationChannel | NoChannel:
        obj = self.catalog.channels.get(namespace, name)
        if obj is None:
            return NoChannel.Absent
        return parse(NotificationChannel, obj)[0] or NoChannel.Invalid

    # --- making parts ---

    def _queue(
        self, name: str, handle: Callable[[Any], Coroutine[Any, Any, None]], workers: int, rng: random.Random
    ) -> WorkQueue[Any]:
        return WorkQueue(
            name, handle, workers=workers, clock=self._clock, rng=rng, spawn=self._tasks, metrics=self.metrics
        )


def _is_over(run: Obj) -> bool:
    """Whether nothing is done for it (any more): the work begins anew only when its spec changes."""
    return finished(run) or deleted(run)
