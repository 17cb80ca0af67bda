"""Planted bugs: each is put into a copy of the package, and the simulation has to notice.

    make mutants                    all of them, two at a time
    make mutants ARGS="fence"       those whose name has the word

A bug is a few words of source replaced by others. Prints a table of which seed found each, and by which invariant.
Exit code 1 when one was not found within its seeds, or does not fit the source any more.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import weft

SEEDS = 500
PACKAGE = Path(weft.__file__).parent
TESTS = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """A planted bug: in this file, these words become those."""

    name: str
    file: str
    words: str
    instead: str


MUTANTS = (
    Mutant("no identity check on 409", "controllers/jobs.py", "if bears_identity(job, live.ref.uid, action.id):", "if True:"),
    Mutant(
        "Pods released before the status is written", "controllers/record.py",
        "        releases, live.releases = live.releases, []\n        for unit in starting:",
        "        await self.release(live)\n        releases, live.releases = live.releases, []\n        for unit in starting:",
    ),
    Mutant("a back-off is forgotten on restart", "engine/restore.py", 'moment(entry.get("nextTime"))', "None"),
    Mutant(
        "status written without resourceVersion", "controllers/writer.py",
        '{"metadata": {"resourceVersion": live.version}, "status": patch}', '{"status": patch}',
    ),
    Mutant(
        "somebody else's status taken for ours", "controllers/writer.py",
        "if not any(_tells_the_same(stored, ours) for ours in (live.status, wanted)):", "if False:",
    ),
    Mutant(
        "absence from an old list is deletion", "kube/cache.py",
        "and not is_older(version, version_of(held))", "",
    ),
    Mutant("the dead come back", "kube/cache.py", "if self._is_dead(obj):", "if False:"),
    Mutant(
        "a deleted Job's Pod is not waited for", "controllers/gather.py",
        "if has_pod or id_ in live.held:", "if id_ in live.held:",
    ),
    Mutant(
        "orphans released while their run is active", "controllers/orphans.py",
        "if child is None or self._active(run_key_of(child)):", "if child is None:",
    ),
    Mutant(
        "leading on what the standby knew", "app.py",
        "        await self._feed.refresh()\n        for queue", "        for queue",
    ),
    Mutant(
        "a cluster ahead of the status is not waited for", "controllers/gather.py",
        "if unit is None and not settled(live.state, id_):", "if False:",
    ),
    Mutant(
        "surplus Jobs that still run", "controllers/thinning.py",
        "if self._is_over(live, family)]", "]",
    ),
    Mutant("no fence", "kube/fence.py", "if not may_leave():", "if False:"),
    Mutant("parallelism ignored", "engine/advance.py", "room = state.workflow.parallelism is None or", "room = True or"),
    Mutant(
        "a broken edge is void", "engine/edges.py",
        "return MET if phase == SUCCEEDED or (phase == FAILED and allow_failure) else BROKEN",
        "return MET if phase == SUCCEEDED or (phase == FAILED and allow_failure) else VOID",
    ),
    Mutant("queues forgotten on restart", "app.py", "        self.queues.restore(self.catalog.runs)\n", ""),
    Mutant("keys forgotten on restart", "app.py", "        self._lent_keys.restore(self.catalog.runs)\n", ""),
    Mutant(
        "a rerun that cannot be keeps its place", "controllers/passes.py",
        "except ValueError as error:", "except ZeroDivisionError as error:",
    ),
    Mutant(
        "success after a time-out is run again", "engine/observe.py",
        "if seen.succeeded:\n            before_its_stop", "if False:\n            before_its_stop",
    ),
    Mutant(
        "Jobs without a Pod are forgotten", "controllers/orphans.py",
        "            await self._finish_without_pod(child)", "            return",
    ),
    Mutant(
        "a child run is written like a user's", "controllers/passes.py",
        "for child in self._standing_children(live):\n            if not",
        "for child in (*self._standing_children(live), self._child_runs._runs.get(*live.key)):\n            if child and not finished(child) and not",
    ),
    # What the simulation found in Weft itself, planted again.
    Mutant("a run begins in a place it has lost", "controllers/runs.py", "and not self._hooks.begins(run):", "and False:"),
    Mutant("woken between two milliseconds", "engine/deadlines.py", "round(found, 3)", "found"),
    Mutant(
        "what holds an attempt back is told too late", "controllers/passes.py",
        "if not live.state.finished and not any(isinstance(seen, _HEARD) for seen in live.inbox):",
        "if not live.state.finished:",
    ),
    Mutant("strays run on", "controllers/gather.py", "        live.strays[id_] = False\n", "        pass\n"),
    Mutant(
        "what was read is no news", "controllers/jobs.py",
        '        live.look_at(child["kind"], key_of(child).name)\n', "",
    ),
    Mutant(
        "a run is deleted though a rerun was asked for", "controllers/cleanup.py",
        "uid=uid_of(run), version=version_of(run)", "uid=uid_of(run)",
    ),
    Mutant(
        "a Pod of a run that has ended runs on", "controllers/orphans.py",
        "                await self._stop(job, pod)\n                return", "                return",
    ),
    Mutant("what is only late fails the node", "controllers/patience.py", "return None if believed else", "return None if True else"),
    Mutant(
        "a status is taken for ours by its phase", "controllers/writer.py",
        "for key in _TOLD)", 'for key in ("phase",))',
    ),
    Mutant(
        "a Job is asked for although its Pod stands", "controllers/passes.py",
        "            leftovers.drop_started(live, self._store)\n", "",
    ),
    Mutant(
        "Pods of a deleted Job are not asked for", "controllers/runs.py",
        "            await self._jobs.find_pods(live, gone)\n", "            pass\n",
    ),
    Mutant(
        "a rerun asked for while another begins is forgotten", "controllers/runs.py",
        "if run is not None and rerun_wanted(run):  # since", "if False:  # since",
    ),
    Mutant(
        "a rerun begins anew until a status tells of it", "controllers/passes.py",
        "if generation > live.state.generation:  # by", "if rerun_wanted(run):  # by",
    ),
    Mutant(
        "an end is forgotten for what was read meanwhile", "controllers/live.py",
        "if gone is not None or (kind, name) not in self.touched:", "if True:",
    ),
    Mutant(
        "a Pod is made beside its successor's", "controllers/gather.py",
        "if id_._replace(attempt=id_.attempt + 1) not in live.ahead:", "if True:",
    ),
    Mutant(
        "a key is kept for what comes later", "controllers/passes.py",
        "        self._hooks.idle(live, leftovers.idle(live, self._store))\n", "",
    ),
    Mutant(
        "what a compensation's graph has begun is over", "engine/lookup.py",
        'if state.stage == "Main":\n        return False', 'if state.stage == "Main":\n        return True',
    ),
    Mutant(
        "what is told before it is made is taken for made", "engine/restore.py",
        "unit.unmade or unit.pending in RESEND", "unit.pending in RESEND",
    ),
    Mutant(
        "a key is free before its Pod has ended", "controllers/perform.py",
        "case Release() if outlived(live, self._store, action.id):", "case Release() if False:",
    ),
    Mutant(
        "a forEach without items gets one on a restart", "engine/restore.py",
        'itemless = node.node.for_each is not None and "items" not in entry', "itemless = False",
    ),
    Mutant("keys kept for Jobs that are over", "controllers/lent_keys.py", "if gate.unit not in wanted:", "if False:"),
)  # fmt: skip


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in words)]
    with ThreadPoolExecutor(2) as pool:
        results = []
        for mutant, (caught, told) in zip(chosen, pool.map(hunt, chosen), strict=True):
            results.append(caught)
            print(f"{'caught' if caught else 'MISSED':7} {mutant.name:50} {told}", flush=True)
    print(f"{sum(results)} of {len(results)} caught")
    return 0 if all(results) else 1


def hunt(mutant: Mutant) -> tuple[bool, str]:
    """Whether the simulation notices the bug, and how."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder) / "weft", ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "weft" / mutant.file
        source = file.read_text()
        if source.count(mutant.words) != 1:
            return False, f"does not fit {mutant.file}: {mutant.words!r} is there {source.count(mutant.words)} times"
        file.write_text(source.replace(mutant.words, mutant.instead))
        command = [sys.executable, "-m", "support.chaos.soak", "--seeds", str(SEEDS), "--first"]
        environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{TESTS}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
    if done.returncode not in (0, 1):
        return False, (done.stderr.strip().splitlines() or [f"ended by {done.returncode}"])[-1]
    return bool(lines), lines[0] if lines else f"not within {SEEDS} seeds"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
