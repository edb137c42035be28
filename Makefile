# Everything below runs from a clean checkout: each target sets up .venv first, from the lock file.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup containers images lock fmt check unit system endurance test conformance knative test-kubernetes bench demo clean

help: ## List these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready ## Make .venv from requirements.lock (hashes pinned)
.venv/.ready: requirements.lock tools/uv.lock.txt pyproject.toml
	@sh tools/setup $(PYTHON)

containers: ## Install what container images need: containerd, runc, CNI plugins (needs root)
	@tools/containers

images: setup ## Build the container images, as OCI archives in dist/images; IMAGES="--prefix X --tag Y"
	$(BIN)/python -m tools.images $(IMAGES)

lock: setup ## Resolve the dependencies again and pin them
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group dev pyproject.toml -o requirements.lock

fmt: setup ## Format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: setup ## Format, lint, types, layers: what every commit must pass
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

unit: setup ## The tests that need no real parts
	$(BIN)/pytest -q tests/unit tests/contract tests/tidy

LONG := tests/system/complaints tests/system/test_faults.py
system: setup ## Start the real processes and break them
	$(BIN)/pytest -q tests/system $(LONG:%=--ignore=%)

endurance: setup ## The same under load, and for longer
	$(BIN)/pytest -q $(LONG)

test: check unit system ## Check, unit and system: what a change must pass, in under ten minutes

conformance: setup ## Ask kubectl and kn, where they are present
	$(BIN)/pytest -q tests/conformance

knative: setup ## Knative's own suites against hearth up; needs Go and containerd; KNATIVE="SUITE… --run TEST"
	$(BIN)/python -m tests.knative $(KNATIVE)

test-kubernetes: setup ## Install on a real cluster and use it, where ../shared/kubernetes/cluster starts one
	$(BIN)/pytest -q -rs -p no:randomly tests/kubernetes

bench: setup ## Measure every claim; BENCH="NAME…" some; appends to benchmarks/results/
	@tools/bench
	$(BIN)/python -m benchmarks $(BENCH)

demo: setup ## Two apps from zero to warm and back, in under a minute
	@$(BIN)/python examples/demo.py

clean: ## Remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
