# Everything here sets itself up: all it needs is make and a Python 3.11 or newer that can make virtual environments.

PYTHON ?= python3.13 python3.12 python3.11 python3  # the first of these that will do
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test lint format bench pictures contracts wheel lock clean

help:  ## List the targets
	@sed -nE 's/^([a-z]+):.*  ## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/.run  ## Meet on http://127.0.0.1:3000; more with make run ARGS="--port 4000"
	@exec $(BIN)/mikroroom serve $(ARGS)

test: lint  ## Check everything: style, types, layers, tests, coverage of the core
	tests/debian-packages.sh
	$(BIN)/coverage run -m pytest tests/core
	$(BIN)/coverage report
	$(BIN)/pytest --ignore tests/core --numprocesses 2 --dist worksteal $(ARGS)

lint: $(VENV)/.dev  ## Check style, types and layers only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## Put the code into the one shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## Measure how fast it is, in ten minutes; rougher with make bench ARGS=--quick
	@$(BIN)/python -m tests.bench $(ARGS)

pictures: $(VENV)/.dev  ## Draw the pictures of the room page anew
	@$(BIN)/python -m tests.web.pictures

contracts: $(VENV)/.dev  ## Make the documents and types in docs/contracts anew
	@$(BIN)/python -m mikroroom.contracts

wheel: $(VENV)/.run  ## Build dist/mikroroom-VERSION-py3-none-any.whl
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

lock: $(VENV)/.uv  ## Pin the newest dependencies that pyproject.toml allows
	$(BIN)/uv pip compile $(LOCK) --extra fast --extra metrics --extra redis --extra tokens --group build --output-file deploy/requirements/run.txt
	$(BIN)/uv pip compile $(LOCK) --extra fast --extra metrics --extra redis --extra tokens --group dev --constraints deploy/requirements/run.txt --output-file deploy/requirements/dev.txt

LOCK := pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

clean:  ## Remove what was made here
	rm -rf $(VENV) dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache tests/web/node_modules
	find src tests -name __pycache__ -prune -exec rm -rf {} +

# A stamp says that the packages of deploy/requirements/NAME.txt and, on top, this checkout are installed.
$(VENV)/.%: deploy/requirements/%.txt pyproject.toml | $(VENV)/.made
	@echo "Installing $< into $(VENV)"
	@$(PIP) install --require-hashes --requirement $<
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.uv: | $(VENV)/.made
	$(PIP) install uv
	@touch $@

# A python that is found may still not run, be too old, or (on Debian) lack python3-venv.
$(VENV)/.made:
	@make_venv() { \
	    for python in $(PYTHON); do \
	        $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	        rm -rf $(VENV); \
	        if $$python -m venv $(VENV) >/dev/null 2>&1; then touch $@; return 0; fi; \
	    done; \
	    return 1; \
	}; \
	make_venv && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing python3-venv"; \
	    apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null && make_venv && exit 0; \
	fi; \
	echo "MikroRoom needs Python 3.11 or newer with its venv module: on Debian, apt-get install python3-venv" >&2; \
	exit 1
