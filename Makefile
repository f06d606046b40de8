# Two commands for users: `make demo` and `make test`. Each sets up all it needs in .venv; no root.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test check clean

demo: $(STAMP)
	$(BIN)/cyclegan demo demo

test: $(STAMP)
	$(PYTEST)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "slow or not slow"

clean:
	rm -rf .venv demo build *.egg-info

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "cgeval needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "no virtual environment could be made: install python3-venv, or name another Python by PYTHON=..." >&2; exit 2; }
	@echo "Installing cgeval and what it stands on; PyTorch alone is several gigabytes ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	@touch $(STAMP)
