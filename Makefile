# Everything a contributor runs. `make help` lists it; `make test` is what CI runs.

PYTHON  ?= python3
BIN     := .venv/bin
CLUSTER := $(PYTHON) hack/cluster
# The names the tests read: KUBECONFIG, WEFT_KUBECTL, WEFT_HELM, WEFT_IMAGE, ...
EXPORTS := eval "$$($(CLUSTER) env)"

.DEFAULT_GOAL := help
.PHONY: help venv lock cluster cluster-down images demo test check unit simulation soak mutants e2e generate bench bench-quick bench-gate clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/.installed  ## .venv with every dependency, pinned

.venv/.installed: requirements.txt requirements-dev.txt pyproject.toml hack/venv.sh
	@hack/venv.sh $(PYTHON)

lock:  ## pin the dependencies anew (requirements*.txt)
	@hack/lock.sh

cluster:  ## a Kubernetes cluster on this machine; KWOK=10 adds ten fake nodes, SCHEDULER_QPS=500 frees the scheduler
	@$(CLUSTER) up $(if $(KWOK),--kwok $(KWOK)) > /dev/null

cluster-down:  ## remove the cluster and everything of it
	@$(CLUSTER) down

images: venv cluster  ## build what changed of Weft's images and load it into the cluster
	@$(CLUSTER) images

demo: images  ## install Weft and watch one workflow run
	@$(EXPORTS) && $(BIN)/python hack/demo.py

test: check unit simulation e2e  ## everything: check, unit, simulation, e2e

check: venv  ## lint, types, layers, and generated files are what the code writes
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=operator:. $(BIN)/mypy --explicit-package-bases hack bench
	$(BIN)/lint-imports
	$(BIN)/python hack/generate.py --check

unit: venv  ## unit and property tests, with coverage
	$(BIN)/pytest tests/unit tests/property -n 2 --cov --cov-report=term --cov-fail-under=90 $(ARGS)

simulation: venv  ## the whole operator in a simulated cluster, 500 seeds of trouble
	$(BIN)/pytest tests/simulation -n 2 $(ARGS)

SEEDS ?= 1000
START ?= 1
soak: venv  ## as many seeds as you like: SEEDS=10000 START=1; SEEDS=1 START=42 VERBOSE=1 tells one seed's story
	PYTHONPATH=operator:tests $(BIN)/python -m support.chaos.soak --seeds $(SEEDS) --start $(START) $(if $(VERBOSE),--verbose)

mutants: venv  ## plant bugs, one at a time, and see that the simulation finds each; ARGS="fence" chooses
	PYTHONPATH=operator:tests $(BIN)/python -m support.chaos.mutants $(ARGS)

e2e: images  ## end-to-end tests on the cluster; ARGS="-k name" chooses
	$(EXPORTS) && $(BIN)/pytest tests/e2e $(ARGS)

generate: venv  ## write the generated files anew (crds/, ...)
	$(BIN)/python hack/generate.py

bench: venv  ## the benchmarks, in full, on fake and real nodes; ARGS="--only hop --out FILE" chooses
	@$(CLUSTER) up --kwok 10 > /dev/null
	$(EXPORTS) && $(BIN)/python -m bench.run $(ARGS)

bench-quick: venv  ## the measures that have a goal, in short
	@$(CLUSTER) up --kwok 10 > /dev/null
	$(EXPORTS) && $(BIN)/python -m bench.run --quick $(ARGS)

bench-gate: venv  ## fail when Weft has become slow against a bare loop; ARGS="--plant 40" shows that it does
	@$(CLUSTER) up --kwok 10 > /dev/null
	$(EXPORTS) && $(BIN)/python -m bench.gate $(ARGS)

clean:  ## remove what tools left in this folder; not .venv, the cluster, nor the cache (~/.cache/weft)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
	find operator tests hack bench -name __pycache__ -type d -prune -exec rm -rf {} +
