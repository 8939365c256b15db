# The menu. Every target works from a fresh clone with only Python 3.10+ (and its venv), make and the package index.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast image-test contract lint format bench fuzz faults soak clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

# A stamp instead of the folder: an interrupted installation is done again.
$(VENV)/.installed: pyproject.toml worker/oppcloud_worker/__init__.py
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/plugins --group plugins
	$(BIN)/python -m pip install --quiet --no-warn-conflicts --target $(VENV)/exporter --group exporter
	touch $@

install: $(VENV)/.installed  ## install the project and its tools into .venv

demo: $(VENV)/.installed  ## run the example simulations through a real queue and real workers
	$(BIN)/python -m pytest --oppcloud example_sims

test: $(VENV)/.installed lint  ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-fast: $(VENV)/.installed  ## the tests that need no process and no queue
	$(BIN)/python -m pytest tests/unit

contract: $(VENV)/.installed  ## the modes of running pytest against each other, also with its oldest and newest versions
	pythons=$$($(BIN)/python tests/integration/contract/environments.py) && \
	OPPCLOUD_CONTRACT_PYTHONS=$$pythons $(BIN)/python -m pytest tests/integration/contract

lint: $(VENV)/.installed  ## formatting, rules, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(BIN):$$PATH" $(BIN)/lint-imports

format: $(VENV)/.installed  ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

image-test: $(VENV)/.installed  ## build the worker image and run campaigns in containers (needs docker or podman)
	$(BIN)/python -m pip install --quiet --group image
	OPPCLOUD_IMAGE_TESTS=1 $(BIN)/python -m pytest tests/image

bench: $(VENV)/.installed  ## measure the harness against bare plugins, xargs and the peers
	$(BIN)/python bench/collection.py
	$(BIN)/python bench/overhead.py
	$(BIN)/python bench/scheduling.py

fuzz: $(VENV)/.installed  ## expand 1,000 generated ini files here and with OMNeT++ (opp_run on the PATH), and compare
	$(BIN)/python tests/property/compare_with_omnetpp.py --count 1000

# The last line of the campaign is the last line of all.
faults: $(VENV)/.installed  ## kill, cut, forge and damage for a quarter of an hour; the last line counts what was lost
	OPPCLOUD_FAULTS=1 $(BIN)/python -m pytest -n 2 tests/faults
	cd tests/faults && $(abspath $(BIN))/python -m faultkit.campaign --runs 1000

soak: $(VENV)/.installed  ## 10,000 tiny runs over 4 workers: the memory of all parts stays flat
	cd tests/faults && $(abspath $(BIN))/python -m faultkit.soak --runs 10000

clean:  ## remove what the targets made
	rm -rf $(VENV) .cache/contract .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .oppcloud build dist
