# `make demo` and `make test` are all a newcomer needs; both make their own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: demo test lint bench encoders clean

demo: $(VENV)/.demo
	$(BIN)/python examples/make_library.py demo/videos
	$(BIN)/vidclf classify demo/videos --cache-dir demo/cache --out demo/labels.csv || test $$? -eq 1  # the damaged clip
	$(BIN)/vidclf classify demo/videos --cache-dir demo/cache --format table --quiet || test $$? -eq 1

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python -m tests.bench

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[examples]'
	touch $@

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

encoders: $(STAMP)
	$(BIN)/python -m vidclf_train encoders
	git diff --exit-code exported/encoders/SHA256SUMS  # what ships is what comes out

clean:
	rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache
