# Anomaflow. `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
#
# The environment is made by the first command that needs it, in .venv, with nothing but Python 3.11 or newer and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8080

.DEFAULT_GOAL := help
.PHONY: help demo test bench verify fix fix-format fix-lint fix-protos fix-docs proto clean \
        check-format check-lint check-types check-imports check-protos check-docs

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Anomaflow needs Python 3.11 to 3.13; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing; as root: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making an environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.all: $(VENV)/.python pyproject.toml
	@echo "Installing Anomaflow and what it needs (TensorFlow among it; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[all]'
	@# An installed package is compiled; an editable one would compile in every process, which costs each megabytes.
	@$(BIN)/python -m compileall -q protos agent aggregator trainer
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	@echo "Installing the development tools ..."
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

demo: $(VENV)/.all ## The whole product on this host; ONCE=1 for one headless round, PCAP=file or IFACE=eth0 for your traffic
	@$(BIN)/python deploy/demo.py --port $(PORT) $(if $(filter-out 0,$(ONCE)),--once) \
	  $(if $(PCAP),--pcap "$(PCAP)") $(if $(IFACE),--iface "$(IFACE)")

test: $(VENV)/.dev ## Every test, on the installed package, a file at a time on each of two processes
	@$(BIN)/python -Im pytest -n 2 --dist loadfile $(ARGS)

bench: $(VENV)/.dev ## Speed and size, measured here and now
	@$(BIN)/python bench/run.py $(ARGS)

verify: check-format check-lint check-types check-imports check-protos check-docs ## Everything that can be checked without running it

check-format: $(VENV)/.dev
	@$(BIN)/ruff format --check --quiet . || { echo "formatting: run 'make fix-format'" >&2; exit 1; }
check-lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
check-types: $(VENV)/.dev
	@$(BIN)/mypy
check-imports: $(VENV)/.dev
	@$(BIN)/lint-imports --no-cache | tail -n 3
check-protos: $(VENV)/.dev
	@sh protos/check.sh
check-docs: $(VENV)/.dev
	@$(BIN)/python docs/generate.py --check

fix: fix-format fix-lint fix-protos fix-docs ## Mend what can be mended by machine
fix-format: $(VENV)/.dev
	@$(BIN)/ruff format --quiet .
fix-lint: $(VENV)/.dev
	@$(BIN)/ruff check --fix --quiet . || true
fix-protos proto: ## Generate the stubs beside their .proto files
	@sh protos/generate.sh
fix-docs: $(VENV)/.dev
	@$(BIN)/python docs/generate.py

clean: ## Remove the environments and the demo's state
	@rm -rf $(VENV) .venv-proto .demo
