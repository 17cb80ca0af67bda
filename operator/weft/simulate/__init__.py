"""A virtual clock over the engine: what a workflow would do in a world that a scenario describes."""
