"""The words of Weft: every resource as a typed model, its conditions and reasons, and the CRDs generated from them.

Nothing here does I/O or knows how a run is carried out. Read `node.py` first (the heart of a Workflow), then
`workflow.py`, `workflowrun.py` and `conditions.py`; `problems.py` says how bad input is reported, `crd.py` how the
models become CRDs.
"""
