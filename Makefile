# make demo and make test work on a fresh machine with Python >= 3.11 and make alone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test test-quick test-nightly servers lint docs bench clean

demo: $(STAMP)
	$(BIN)/unetpp demo

# Small networks are faster on one thread, and two processes with two threads each wait for one another.
export OMP_NUM_THREADS ?= 1
SLOW := ray or s3 or slow or postgresql or prometheus or chromium

# Quick ones first. Of those with servers and clusters a file's stay together, in the order that starts with the longest.
test: test-quick
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "$(SLOW)"

test-quick: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not ($(SLOW))"

# Every combination of options where `make test` tries every pair, and scenarios whose promise it shows elsewhere.
test-nightly: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m nightly

# Programs that some tests need and skip without: with Debian's packages, as root.
servers:
	tests/setup_servers.sh postgresql prometheus chromium

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=distributed $(BIN)/lint-imports
	$(MAKE) docs

# build/site/index.html; strict: a dead link or a reference to nothing is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=distributed $(BIN)/mkdocs build --strict --quiet

# make bench IMAGES=DSB/images MASKS=DSB/masks
bench: $(STAMP)
	@test -n "$(IMAGES)" -a -n "$(MASKS)" || { echo "make bench needs IMAGES=FOLDER MASKS=FOLDER"; exit 2; }
	$(BIN)/python benchmarks/dsb2018.py --images "$(IMAGES)" --masks "$(MASKS)" --work build/dsb2018
	$(BIN)/python benchmarks/memory.py --work build/memory

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find distributed tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and alone: pip then settles on the pinned build before anything else asks for one.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Python %d.%d is too old: unetpp needs 3.11 or newer; use make PYTHON=python3.11" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@
