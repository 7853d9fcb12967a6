# make run     start the page at http://127.0.0.1:7860 (options: make run ARGS="--port 8000")
# make test    style, types, tests;  make test-slow: the tests that take longer

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Without a GPU the tested release of torch, unless a new enough one is there already.
HAS_TORCH := from importlib.metadata import version; \
	assert tuple(map(int, version("torch").split(".")[:2])) >= (2, 10)
INSTALL = if command -v nvidia-smi >/dev/null || $(BIN)/python -c '$(HAS_TORCH)' 2>/dev/null; \
	then $(BIN)/pip install --quiet -r $<; \
	else $(BIN)/pip install --quiet -r $< -c constraints-cpu.txt; fi && touch $@

# two processes; the tests of a file stay together, because they share servers and models
PARALLEL ?= -n 2 --dist loadfile

.PHONY: run test test-slow

run: $(VENV)/installed-run
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not gpu" $(PARALLEL)

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -m "slow and not gpu" $(PARALLEL)

$(VENV)/installed-run: requirements.txt | $(BIN)/python
	$(INSTALL)

$(VENV)/installed-test: requirements-test.txt requirements.txt | $(BIN)/python
	$(INSTALL)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
