"""The benchmarks: `python -m bench.run`. What is measured, and with which words, stands in docs/performance.md."""
