# Every target makes or reuses the environment .venv; nothing else is needed but make and Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo-output

.PHONY: demo test lint bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Regrowth needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@

demo: $(VENV)/.installed  ## synthetic cohort, whole pipeline, reports
	$(BIN)/regrowth demo $(DEMO)

test: $(VENV)/.installed  ## all tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed  ## style, types
	$(BIN)/ruff format --check src tests benchmarks docs tools
	$(BIN)/ruff check src tests benchmarks docs tools
	$(BIN)/mypy

bench: $(VENV)/.bench  ## tables of ratios against peers; takes about half an hour
	$(BIN)/python benchmarks/bench_hd95.py
	$(BIN)/python benchmarks/bench_registration.py --patients 3
	$(BIN)/python benchmarks/bench_migration.py
	$(BIN)/python benchmarks/bench_rerun.py
	$(BIN)/python benchmarks/bench_survival.py
	$(BIN)/python benchmarks/bench_cutpoint.py
	$(BIN)/python benchmarks/bench_parcellation.py
	$(BIN)/python benchmarks/bench_growth_time.py
	$(BIN)/python benchmarks/bench_fisher_kpp.py

clean:
	rm -rf $(VENV) $(DEMO)
