"""One seed's history of the world, from the first object to the quiet after the storm.

    outcome = simulate(7)
    outcome.violations, outcome.story()

The whole operator (one replica, or two and a Lease) on the API server in memory, in virtual time. First the storm: the
weather on every wire, crashes, frozen processes, jumping clocks, expired watches, people, and Pods with fates of their
own. Then the calm, in which every run has to end; then a while in which everything must have been let go. What happened
is judged by `support.checker` from the server's history alone. `Knobs` turn parts of it off, to find what matters.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from support.asked import Asked
from support.chaos.dice import Dice
from support.chaos.people import DEEDS, DELETIONS, UNSEEN, People, has_ended
from support.chaos.plan import Plan, fate_of, plan_of
from support.chaos.plots import plot_of
from support.chaos.plots.plot import COLLECT_SECONDS
from support.chaos.story import Note, tell_story
from support.chaos.tally import tally
from support.chaos.weather import Storm
from support.checker.verdict import judge
from support.clock import BusyLoop, VirtualClock
from support.fakeapi import FakeApi
from support.kubelet import Fate, Kubelet
from support.replica import ProcessClock, Replica
from support.storage import Event
from weft.api.objects import Obj
from weft.controllers import removal, thinning
from weft.kube.resources import LEASES, WORKFLOW_RUNS
from weft.kube.transport import Response as Reply
from weft.metrics import Metrics
from weft.notify.guarded_http import FailureReason, RequestFailed, Response
from weft.settings import Settings

STEP = 0.5
CALM_SECONDS = 400.0
"""How long after the storm a run may still take. Everything in the workloads is far shorter."""
QUIET_SECONDS = 25.0
TILTS = ("", "", "", "squatters", "freezes", "watches", "deletions")
"""What happens in a seed more often than in others; nothing in many."""
PLOT_SECONDS = 45.0
OTHER_TROUBLE = 0.25
"""How much else happens where there is one."""
FEW = removal.LEFT_AT_ONCE
MANY = thinning.KEPT_JOBS, thinning.MORE_JOBS
DISCOVERY = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
METRICS = Metrics()
"""Nobody reads it; making one for each process would be half of the time."""


@dataclass(frozen=True)
class Knobs:
    """What there is of trouble. All on by default."""

    weather: bool = True
    crashes: bool = True
    people: bool = True
    freezes: bool = True
    clocks: bool = True
    watches: bool = True
    squatters: bool = True
    hardships: bool = True
    """In some seeds one trouble far more often, people who act when no operator is there, and plots."""
    shards: int = 0
    """So many, over two or three replicas; besides, there are witnesses in namespaces of other shards."""


@dataclass
class Outcome:
    """What a seed came to."""

    seed: int
    violations: list[str]
    history: list[Event] = field(repr=False)
    notes: list[Note] = field(repr=False)
    seconds: float = 0.0

    def tally(self) -> Counter[str]:
        """What happened, and how often."""
        return tally(self.history, self.notes)

    def story(self) -> str:
        """The history to read: time, who, what."""
        return tell_story(self.history, self.notes)

    def digest(self) -> str:
        """The same for the same history."""
        lines = [
            orjson.dumps([e.version, e.type, e.actor, round(e.at, 6), e.obj], option=orjson.OPT_SORT_KEYS)
            for e in self.history
        ]
        return hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]


def simulate(seed: int, knobs: Knobs | None = None) -> Outcome:
    """Live through one seed and judge it."""
    return asyncio.run(_live(seed, knobs or Knobs()))


async def _live(seed: int, knobs: Knobs) -> Outcome:
    world = World(seed, knobs)
    try:
        stuck = await world.play()
    except BusyLoop as error:
        stuck = [f"3: {error}"]
    finally:
        await world.close()
    violations = judge(world.api.history, world.api.all) + stuck
    return Outcome(seed, violations, world.api.history, world.notes, world.clock.monotonic())


class World:
    """Everything there is."""

    def __init__(self, seed: int, knobs: Knobs) -> None:
        self._dice = Dice(seed)
        self._knobs = knobs
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock, seed=seed)
        self.api.documents["/api/v1"] = DISCOVERY
        self.notes: list[Note] = []
        self.plan: Plan = plan_of(self._dice, hardships=knobs.hardships)
        self.people = People(self.api, self._dice.of("people"))
        nature = self._dice.of("nature")
        rate, latency = nature.pick((0.02, 0.06, 0.15, 0.3)), nature.pick((0.0, 0.0, 0.01, 0.2))
        plotting = self._dice.of("plot")
        plot = plot_of(plotting) if knobs.hardships else None
        self.storm = Storm(
            self._dice.of("storm"), rate=0.01 if plot else rate, crashes=knobs.crashes, latency=latency,
            hardships=knobs.hardships, themes=plot is None, meddle=self.people.meddle, tell=self._note,
            sent=self._look_at_sender,
        )  # fmt: skip
        self._trespasses: list[str] = []
        self._storm_seconds = nature.between(8.0, 30.0)
        self._replicas_wanted = 2 if nature.chance(0.35) else 1
        self._people_rate = nature.pick((0.05, 0.2, 0.4)) if knobs.people else 0.0
        settings: dict[str, Any] = {
            "lease_enabled": self._replicas_wanted > 1 or nature.chance(0.2),
            "workers": nature.pick((1, 4, 16)),
            "status_interval_seconds": nature.pick((0.0, 0.2, 0.2, 2.0)),
            "resource_impersonation": True,
            "resync_seconds": nature.pick((30.0, 600.0)),
            "api_concurrency": nature.pick((1, 4, 64)),
        }
        if self._replicas_wanted > 1:
            self._storm_seconds += 15.0  # long enough for a lease to change hands in it
        if knobs.shards:
            self._replicas_wanted = nature.pick((2, 3))
            settings |= {"lease_enabled": True, "shards": knobs.shards}
            self.plan.add_witnesses(nature)
        self._plot = plot(self, plotting) if plot else None
        if self._plot is not None:
            self._plot.prepare(self.plan)
            settings |= self._plot.settings
            self._storm_seconds = max(self._storm_seconds, PLOT_SECONDS)
        self._settings = Settings(**settings)
        self._nature = nature
        self._due: list[tuple[float, Callable[[], Any]]] = []
        self._replicas: list[Replica] = []
        self._born = 0
        self._leaders = 0
        removal.LEFT_AT_ONCE = self._dice.of("removal").pick((0, FEW))  # 0: Weft deletes all the Pods
        thinning.KEPT_JOBS, thinning.MORE_JOBS = self._dice.of("thinning").pick((MANY, (0, 1), (2, 3)))
        self._squatting = self._dice.of("squatters")
        self._tilt = self._dice.of("tilt").pick(TILTS) if knobs.hardships else ""
        self._absence = self._dice.of("absence")
        self._unseen = knobs.hardships and knobs.people and self._absence.chance(0.3)
        self.api.before += [self._squat, self._before]
        self.api.after.append(self._after)
        self.kubelet = Kubelet(
            self.api, self.clock, self._fate, collect=plot.collect_seconds if plot else COLLECT_SECONDS
        )

    async def play(self) -> list[str]:
        """Live it through; gives what never ended."""
        self._note("world", f"{self._replicas_wanted} replicas, {self._settings.model_dump(exclude_defaults=True)}")
        for document in self.plan.documents:
            self.api.add(document)
        for at, run in self.plan.runs:
            self._at(at, lambda run=run: self._create(run))
        for _ in range(self._replicas_wanted):
            self._start()
        if not self._knobs.weather:
            self.storm.over = True
        while self.clock.monotonic() < self._storm_seconds:
            await self._step()
            self._trouble()
        self._calm()
        while not self._all_ended():
            if self.clock.monotonic() > self._storm_seconds + CALM_SECONDS:
                break
            await self._step()
            self.people.calm_down()
        stuck = [f"3: run {name} never ends: {told}" for name, told in self._unended()]
        await self.clock.advance(QUIET_SECONDS)
        return stuck + self._trespasses

    async def close(self) -> None:
        for replica in self._replicas:
            await replica.bury()
        await self.storm.end()
        await self.kubelet.close()

    def _look_at_sender(self, actor: str, method: str, path: str) -> None:
        """A write has to leave its process while that one leads. What befalls it on its way is the weather's."""
        if method == "GET" or "/leases/" in path or path.endswith("/leases") or self._knobs.shards:
            return
        holder = next((lease["spec"].get("holderIdentity") for lease in self.api.all(LEASES)), None)
        if holder and holder != actor:
            now = self.clock.monotonic()
            self._trespasses.append(f"4: at {now:.3f} {actor} sends {method} {path} although {holder} leads")

    # --- time ---

    def _at(self, at: float, deed: Callable[[], Any]) -> None:
        self._due.append((at, deed))

    async def _step(self) -> None:
        await self.clock.advance(STEP)
        now = self.clock.monotonic()
        due = [deed for at, deed in self._due if at <= now]
        self._due = [(at, deed) for at, deed in self._due if at > now]
        for deed in due:
            deed()
        leaders = sum(replica.leading for replica in self._replicas)
        if leaders > max(1, self._leaders) and not self._knobs.shards:
            self._note("nature", "two processes believe that they lead")
        self._leaders = leaders
        for replica in list(self._replicas):
            if replica.clock.spins:
                raise BusyLoop(f"{replica.name} spins at {now:.3f}")
            if replica.ice.dead or replica.ended:
                self._replicas.remove(replica)
                self._note(replica.name, "is gone")
                await replica.bury()
                away = self._nature.between(0.1, 12.0) if not self.storm.over else 0.1
                self._at(now + away, self._start)
                if self._unseen and not self._replicas and not self.storm.over:
                    for _ in range(3):
                        self._at(now + self._absence.between(0.0, away), self._act_unseen)

    def _start(self) -> None:
        name = f"op-{self._born}"
        self._born += 1
        replica = Replica(
            self.api, self.clock, name=name, settings=self._settings, seed=self._born, metrics=METRICS,
            http=Web(self.clock, self._dice.of("http", name)), weather=self.storm,
        )  # fmt: skip
        if self._knobs.clocks:
            replica.clock.skew = self._nature.between(-3.0, 3.0)
        replica.compiling = max(0.0, self._dice.of("compiling", name).between(-3.0, 3.0))
        self._replicas.append(replica)
        self._note(name, "starts")
        replica.start()

    # --- trouble ---

    def _trouble(self) -> None:
        nature, now, knobs = self._nature, self.clock.monotonic(), self._knobs
        if self._plot is not None:
            self._plot.step()
            if not nature.chance(OTHER_TROUBLE):
                return
        if nature.chance(self._people_rate):
            self.people.do_something(DELETIONS if self._tilt == "deletions" else DEEDS)
            for run in self.people.deleted:
                self._at(now + nature.between(0.1, 20.0), lambda run=run: self._create(run))
            self.people.deleted.clear()
        living = [replica for replica in self._replicas if not replica.ice.frozen]
        if not living:
            return
        replica = nature.pick(living)
        a_pair = self._replicas_wanted > 1 and not knobs.shards  # is to live until a frozen leader's lease is over
        if knobs.crashes and nature.chance(0.008 if a_pair else 0.03):
            self._note(replica.name, "is killed")
            replica.crash()
        elif (
            knobs.freezes
            and nature.chance(self._more(0.015 * self._replicas_wanted, "freezes"))
            and not (a_pair and len(living) < 2)
        ):
            seconds = nature.pick((0.5, 5.0, 20.0, 30.0))
            replica = next((one for one in living if one.leading), replica)
            self._note(replica.name, f"is frozen for {seconds} s")
            replica.freeze()
            self._at(now + seconds, replica.thaw)
        elif knobs.shards and knobs.crashes and nature.chance(0.03):
            self._note(replica.name, "is told to leave")
            replica.leave()
        if knobs.clocks and nature.chance(0.01):
            self._jump(replica.clock, nature.pick((-30.0, -2.0, 2.0, 30.0)))
        if knobs.watches and nature.chance(self._more(0.05, "watches")):
            self._break_watches(replica)

    def _more(self, chance: float, tilt: str) -> float:
        return chance * 6 if self._tilt == tilt else chance

    def _act_unseen(self) -> None:
        if not self._replicas:
            self._note("user", "acts while no operator is there")
            self.people.do_something(UNSEEN)

    # --- the plot: this is its Stage ---

    def later(self, seconds: float, deed: Callable[[], Any]) -> None:
        self._at(self.clock.monotonic() + seconds, deed)

    def note(self, text: str) -> None:
        self._note("nature", text)

    def kill(self, name: str) -> None:
        for replica in self._replicas:
            if replica.name == name:
                self._note(name, "is killed")
                replica.crash()

    def deafen(self, name: str, plural: str, seconds: float) -> None:
        self.storm.hold_back(name, plural, self.clock.monotonic() + seconds)

    def let_go(self, pod: Obj) -> None:
        self.kubelet.let_go(pod)

    def mistake_the_time(self, seconds: float) -> None:
        for replica in self._replicas:
            if replica.leading:
                self._jump(replica.clock, seconds)

    async def _before(self, asked: Asked) -> Reply | None:
        return await self._plot.before(asked) if self._plot is not None and self._on_stage(asked) else None

    async def _after(self, asked: Asked) -> None:
        if self._plot is not None and self._on_stage(asked):
            await self._plot.after(asked)

    def _on_stage(self, asked: Asked) -> bool:
        return not self.storm.over and asked.actor.startswith("op-")

    def _fate(self, pod: Obj) -> Fate:
        ours = self._plot is not None and pod["metadata"]["labels"]["weft.dev/run"].startswith(self._plot.name)
        told = self._plot.fate(pod) if self._plot is not None and ours else None
        fate = told or fate_of(pod, self._dice, self.plan)
        # A Pod that is made when its Job is long gone is the collector's: that none runs for a moment is no rule.
        job = pod["metadata"]["ownerReferences"][0]["uid"]
        return fate if self.api.exists([job]) else replace(fate, bind=2 * COLLECT_SECONDS)

    def _jump(self, clock: ProcessClock, seconds: float) -> None:
        self._note("nature", f"a clock jumps by {seconds} s")
        clock.skew += seconds

    def _break_watches(self, replica: Replica) -> None:
        nature = self._nature
        kind = nature.pick(("expire", "break", "bookmark", "lag", "lag", "lag"))
        if kind == "lag":
            plural, seconds = nature.pick(("pods", "jobs", "workflowruns", "approvals")), nature.between(1.0, 12.0)
            self._note("nature", f"{replica.name} hears nothing of {plural} for {seconds:.1f} s")
            self.storm.hold_back(replica.name, plural, self.clock.monotonic() + seconds)
            return
        self._note("nature", f"watches: {kind}")
        if kind == "bookmark":
            self.api.bookmark()
        else:
            if kind == "expire":
                self.api.expire()
            self.api.break_watches()

    def _squat(self, asked: Asked) -> None:
        makes_a_job = asked.method == "POST" and asked.resource.plural == "jobs" and asked.actor.startswith("op-")
        run = (asked.body or {}).get("metadata", {}).get("labels", {}).get("weft.dev/run")
        squats = (
            makes_a_job and run != "witness" and self._plot is None and self._knobs.squatters and not self.storm.over
        )
        if squats and self._squatting.chance(self._more(0.1 if self._knobs.hardships else 0.02, "squatters")):
            self.people.squat(asked.body["metadata"]["name"])

    def _calm(self) -> None:
        self._note("world", "the storm is over")
        self.storm.over = True
        self.kubelet.calm.set()
        for replica in self._replicas:
            replica.thaw()

    # --- runs ---

    def _create(self, run: Obj) -> None:
        metadata = run["metadata"]
        if self.api.read(WORKFLOW_RUNS, metadata["namespace"], metadata["name"]) is None:
            with self.api.acting_as("user"):
                self.api.add({key: value for key, value in run.items() if key != "status"})

    def _all_ended(self) -> bool:
        return not self._due_runs() and not self._unended()

    def _due_runs(self) -> bool:
        return bool(self._due)

    def _unended(self) -> list[tuple[str, str]]:
        found = []
        for run in self.api.all(WORKFLOW_RUNS):
            status = run.get("status") or {}
            rerun = (run["spec"].get("rerun") or {}).get("generation") or 0
            if not has_ended(run) or rerun > (status.get("rerunGeneration") or 0):
                conditions = status.get("conditions") or ()
                conditions = [one.get("message") for one in conditions if one["type"] == "Succeeded"]
                found.append((run["metadata"]["name"], f"{status.get('phase')} {conditions}"))
        return found

    def _note(self, actor: str, text: str) -> None:
        self.notes.append(Note(self.clock.monotonic(), actor, text, len(self.api.history)))


class Web:
    """Stands for GuardedHttp: answers after a while, mostly well."""

    def __init__(self, clock: VirtualClock, dice: Dice) -> None:
        self._clock = clock
        self._dice = dice

    async def request(self, method: str, url: str, **_: Any) -> Response:
        await self._clock.sleep(self._dice.between(0.05, 4.0))
        if self._dice.chance(0.2):
            raise RequestFailed(FailureReason.ConnectionFailed, f"nobody answers at {url}")
        return Response(self._dice.pick((200, 200, 200, 503)), {}, b"{}")

    async def close(self) -> None:
        return None
