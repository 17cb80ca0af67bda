"""Many seeds, or one to read:

    make soak SEEDS=10000 START=1            two processes; a line per failing seed
    make soak SEEDS=1 START=42 VERBOSE=1     one seed with its whole history

A seed that fails is lived through again with less trouble (see `Knobs`), as long as it still fails: what is left is
what it takes. Exit code 1 when any seed failed.
"""

import argparse
import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace

from support.chaos.world import Knobs, Outcome, simulate

AT_ONCE = 50
"""Seeds that a process takes at a time."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="soak", description="The whole operator under deterministic simulation.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=1, help="the first one")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print the history of each seed")
    parser.add_argument("--first", action="store_true", help="stop at the first seed that fails, and say it in a line")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    began, failed = time.monotonic(), 0
    seeds = range(given.start, given.start + given.seeds)
    if given.first:
        found = next((outcome for outcome in map(simulate, seeds) if outcome.violations), None)
        print(f"seed {found.seed}: {found.violations[0][:120]}" if found else f"{len(seeds)} seeds hold")
        return 1 if found else 0
    if given.verbose:
        failed = sum(_read(seed) for seed in seeds)
    else:
        with ProcessPoolExecutor(given.processes) as pool:
            for found in pool.map(_fails, [seeds[at : at + AT_ONCE] for at in range(0, len(seeds), AT_ONCE)]):
                failed += len(found)
                print("\n".join(found), end="\n" if found else "", flush=True)
    print(f"{len(seeds)} seeds, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def least(seed: int) -> Knobs:
    """What it takes for the seed to fail: everything else is turned off."""
    knobs = Knobs()
    for knob in fields(Knobs):
        fewer = replace(knobs, **{knob.name: False})
        if simulate(seed, fewer).violations:
            knobs = fewer
    return knobs


def report(outcome: Outcome) -> str:
    """A failing seed in a few lines."""
    shown = "\n".join(f"    {violation}" for violation in outcome.violations[:5])
    return f"seed {outcome.seed} fails ({len(outcome.violations)}):\n{shown}"


def _fails(seeds: range) -> list[str]:
    logging.disable(logging.CRITICAL)
    outcomes = (simulate(seed) for seed in seeds)
    return [f"{report(outcome)}\n    it takes {_on(least(outcome.seed))}" for outcome in outcomes if outcome.violations]


def _read(seed: int) -> bool:
    outcome = simulate(seed)
    print(outcome.story())
    print(report(outcome) if outcome.violations else f"seed {seed} holds")
    print(f"history {outcome.digest()}, {len(outcome.history)} changes, {outcome.seconds:.0f} s of virtual time")
    return bool(outcome.violations)


def _on(knobs: Knobs) -> str:
    return ", ".join(knob.name for knob in fields(Knobs) if getattr(knobs, knob.name)) or "no trouble at all"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
