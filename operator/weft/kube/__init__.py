"""Everything that talks to the Kubernetes API on the hot path.

Transport, clock, randomness and task scheduling are handed in, so the same code runs against a simulated API server in
virtual time. Read `client` first, then `informer`, `store` and `workqueue`.
"""
