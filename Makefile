# The two commands are `make demo` and `make test`; the rest is for developers.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test check setup lock bench chaos simulate format clean

demo: setup  ## Runs the demo campaign on the embedded server against the sandbox (half a minute).
	$(BIN)/campaigner demo

test: setup  ## Runs every test tier.
	$(BIN)/pytest -n 6 --dist loadfile --no-loadscope-reorder

check: setup  ## Format, lint, types, import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(STAMP)  ## Makes .venv from the lock file.

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

lock: setup  ## Pins what pyproject.toml asks for, with hashes.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev --python-version 3.11 -o requirements.lock pyproject.toml

chaos: setup  ## Kills, resets and lost answers on the real system: MINUTES=, ORDERS=, or any option in ARGS="--only resets".
	$(BIN)/python -m chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ORDERS),--orders $(ORDERS)) $(ARGS)

simulate: setup  ## Whole campaigns against a model panel, on every core: SEEDS=100000.
	$(BIN)/python -m tests.unit.simulate $(or $(SEEDS),10000) $(ARGS)

bench: setup  ## Benchmarks, side by side in one run.
	$(BIN)/python -m benchmarks

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .campaigner
