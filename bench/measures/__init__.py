"""The measures: one scenario a file, each a function from the bench to lines of results."""

from bench.measures import (
    big,
    ceiling,
    cold,
    crowd,
    history,
    kubelet,
    paced,
    peers,
    planner,
    ratios,
    requests,
    runs,
    shards,
    sustained,
)

MEASURES = {
    "planner": planner.planner,
    "pace": ratios.pace,
    "calls": runs.calls,
    "requests": requests.requests,
    "hop": paced.hop,
    "nodes": sustained.nodes,
    "raised": sustained.raised,
    "runs": runs.runs,
    "ceiling": ceiling.ceiling,
    "crowd": crowd.crowd,
    "chain": kubelet.chain_of_ten,
    "burst": kubelet.burst,
    "loop": ratios.event_loops,
    "controllers": ratios.job_controllers,
    "cold": cold.cold_start,
    "history": history.history,
    "fan": big.fan_out,
    "diamonds": big.chain_of_diamonds,
    "shards": shards.shards,
    "argo": peers.argo,
}
"""Every scenario by its name on the command line, in the order in which they are run."""

BESIDE = frozenset({"planner", "pace", "requests", "ceiling", "loop", "history", "shards", "argo"})
"""Those that ask for reasons and not for goals: left out in short, unless they are named."""
