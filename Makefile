# Every target sets itself up: it needs only Python 3.11 or newer, and Git.
# Works with GNU make 3.81 (macOS) and later.

VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

# Keep compiled bytecode even if the environment disables it: many tests start new processes, and
# without it pytest rewrites the assertions of every test file each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run test test-all test-extended test-chaos tools faults fuzz unit integration cover check format bench bench-peers chaos requirements clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## Watch a push deploy, for real, on this machine
	@$(BIN)/python -m bridge demo

run: $(RUNTIME) ## Start the bridge, configured by PORT and BRIDGE_*
	@$(BIN)/python -m bridge serve

# Test files share nothing, so several run at once: on two cores four files of `make test`, and five of
# the extended tests, which wait more. The few chaos tests that take long are shared out one by one.
BY_FILE := --dist=loadfile --no-loadscope-reorder
ONE_BY_ONE := --dist=load --maxschedchunk=1

# Most tests sync what they write, which takes no time in memory, if programs may run there.
MEMORY := $(if $(TMPDIR),,$(shell mount 2>/dev/null | grep ' /dev/shm ' | grep -qv noexec && \
	df -Pk /dev/shm | awk 'NR == 2 && $$4 > 4000000 { print "/dev/shm" }'))
ifneq ($(MEMORY),)
test test-extended test-chaos fuzz faults: export TMPDIR := $(MEMORY)
endif

# Each run draws the same, even the order of sets; `make fuzz` and `make chaos` draw anew, and SEED=n
# repeats what they drew.
test test-extended test-chaos: export PYTHONHASHSEED ?= 0
fuzz chaos: export SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
fuzz chaos: export PYTHONHASHSEED = $(SEED)

test: $(DEVELOPMENT) ## Run the tests that a change needs, in five minutes
	$(BIN)/python -m pytest --ignore=tests/chaos -m "not extended" -n 4 $(BY_FILE)

test-all: test test-extended test-chaos ## Run all tests; those skip whose tools are not installed

# The other parts of all tests; CI runs each on its own machine.
test-extended: $(DEVELOPMENT)
	$(BIN)/python -m pytest --ignore=tests/chaos -m extended -n 5 $(BY_FILE)

test-chaos: $(DEVELOPMENT)
	$(BIN)/python -m pytest tests/chaos -n 2 $(ONE_BY_ONE)

fuzz: $(DEVELOPMENT) ## Run the tests that draw at random, with new draws; SEED=n repeats a run
	@echo "seed $(SEED): make fuzz SEED=$(SEED) draws the same again"
	$(BIN)/python -m pytest -m "hypothesis or drawn" --hypothesis-profile=fuzz --hypothesis-seed=$(SEED) \
		--ignore=tests/chaos -n 3 $(BY_FILE)
	$(BIN)/python -m pytest tests/chaos -m drawn -n 2 $(ONE_BY_ONE)

tools: $(DEVELOPMENT) ## Install what the tests of make test-all need (Debian, macOS)
	sh tests/tools.sh
	$(BIN)/python -m tests.oracles.install

faults: $(DEVELOPMENT) ## Show that the tests catch 25 planted faults
	@$(BIN)/python -m tests.faults

unit: $(DEVELOPMENT) ## Run the quick tests only
	$(BIN)/python -m pytest tests/unit -m "not slow" --hypothesis-profile=quick -n 2 --dist=worksteal

integration: $(DEVELOPMENT) ## Run the tests of several parts in one process
	$(BIN)/python -m pytest tests/integration -m "not slow" --hypothesis-profile=quick -n 2 $(BY_FILE)

cover: $(DEVELOPMENT) ## Measure test coverage (unit, integration and contract tests)
	$(BIN)/python -m pytest tests/unit tests/integration tests/contract -n 2 --dist=loadfile \
		--cov=bridge --cov-branch --cov-report=term:skip-covered

check: $(DEVELOPMENT) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEVELOPMENT) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEVELOPMENT) ## Measure everything that has a target; BENCH="--long --json FILE" for more
	@$(BIN)/python tests/bench/bench.py $(BENCH)

bench-peers: ## Install other webhook receivers, to which make bench compares
	@sh tests/bench/peers/install.sh .cache/peers

chaos: $(DEVELOPMENT) ## Run the long chaos tests, on SQLite and on Postgres; SEED=n repeats a run
	@echo "seed $(SEED): make chaos SEED=$(SEED) draws the same again"
	CHAOS_PROOF=1 $(BIN)/python -m pytest tests/chaos/test_proof.py
	CHAOS_ROUNDS=$${CHAOS_ROUNDS:-3} $(BIN)/python -m pytest tests/chaos

requirements: $(DEVELOPMENT) ## Update the locked dependencies from pyproject.toml (on Python 3.11)
	@$(BIN)/python -m pip --quiet install "pip-tools>=7.5,<8"
	CUSTOM_COMPILE_COMMAND="make requirements" \
		$(COMPILE) --extra fast -o requirements.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make requirements" \
		$(COMPILE) --extra fast --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml

clean: ## Remove everything the other targets create, except data
	rm -rf $(VENV) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

# ── Set-up ──────────────────────────────────────────────────────────────────────────────

# Create the environment with the first Python that is new enough. Search from the root folder:
# version managers would insist on the version in .python-version, which is meant for platforms.
$(BIN)/python:
	@cd /; for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version)"; \
			$$python -m venv "$(abspath $(VENV))" && exit 0; \
			rm -rf "$(abspath $(VENV))"; \
			echo "$$python can't make virtual environments (Debian: apt install python3-venv)" >&2; \
		fi; \
	done; \
	echo "error: Python 3.11 or newer is needed, and none is in PATH (https://www.python.org/downloads/)" >&2; \
	exit 1

$(RUNTIME): requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing the bridge's dependencies into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps -e .
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@echo "installing the development dependencies into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
