# Two commands do all of their own set-up: `make demo` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help install install-bench demo test lint format bench clean

PYTHON ?= python3
VENV   ?= .venv
RUN    := $(VENV)/bin/
# cpu|auto on a machine that reaches PyTorch's own index; empty takes the registry's wheel (or PIP_FIND_LINKS).
TORCH_BACKEND ?=
EXTRAS ?= test
DEMO_HOME ?= var/demo
# The demo and the tests write little: they run where a province would be refused for want of space.
MIN_FREE_SHARE ?= 0.01
# Tests flush every write to disk; a folder in memory, where there is a roomy one, takes the waiting out of it.
TEST_TMP := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000000 { print "/dev/shm" }')

UV := $(shell command -v uv 2>/dev/null)
UV_FLAGS := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)") $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))
UV_RUN = $(if $(UV),$(UV),$(VENV)/bin/uv)

export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	$(if $(UV),$(UV) venv -q --seed $(VENV) --python $(PYTHON),$(PYTHON) -m venv $(VENV))
	$(if $(UV),,$(VENV)/bin/python -m pip install -q uv)

$(VENV)/.installed-$(EXTRAS): $(VENV)/bin/python pyproject.toml constraints.txt
	$(UV_RUN) pip install -q --python $(VENV)/bin/python $(UV_FLAGS) -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

install: $(VENV)/.installed-$(EXTRAS) ## make the virtual environment with the tested versions

install-bench:
	@$(MAKE) --no-print-directory install EXTRAS=test,bench

demo: install ## the nightly job on a simulated archive with known truth, about 4 minutes on 2 cores
	ENGGANG_MIN_FREE_SHARE=$(MIN_FREE_SHARE) $(RUN)enggang demo --home $(DEMO_HOME)

test: install ## all tests
	ENGGANG_MIN_FREE_SHARE=$(MIN_FREE_SHARE) $(if $(TEST_TMP),TMPDIR=$(TEST_TMP)) $(RUN)python -m pytest -n 2 --dist loadgroup

lint: install ## ruff and mypy --strict
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy

format: install ## format the code
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

bench: install-bench ## speed and memory beside the peers, measured in this run
	$(RUN)python -m bench

clean: ## remove what the demo and the tests wrote
	rm -rf var build dist
