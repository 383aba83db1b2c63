# Two commands to know: `make demo` and `make test`. Everything runs inside .venv, made on demand.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: demo test test-slow fuzz fuzz-guided check format setup peers peers-llama clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Hanmo needs Python 3.11 or newer; say make PYTHON=python3.11" >&2; exit 1)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/hanmo fetch shakespeare
	$(BIN)/hanmo run recipes/shakespeare.toml --out runs/shakespeare

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=90 -m "not slow"

fuzz: $(STAMP)  # every reader of models against mutants of sound files; MINUTES=60 for longer
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10)

fuzz-guided: $(STAMP)  # the same mutants, steered by atheris (Linux) towards lines that none has reached
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt atheris
	$(BIN)/python -m tests.fuzz.guided --minutes $(or $(MINUTES),10)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

peers: $(STAMP)  # what benchmarks/ compares with and what cannot share our environment
	test -x .venv-litgpt/bin/python || $(PYTHON) -m venv .venv-litgpt
	.venv-litgpt/bin/python -m pip install --quiet --disable-pip-version-check --constraint benchmarks/litgpt-constraints.txt litgpt --editable .
	test -x .venv-datatrove/bin/python || $(PYTHON) -m venv .venv-datatrove
	.venv-datatrove/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/datatrove-constraints.txt

peers-llama:  # llama.cpp, compiled for this machine: twenty minutes
	test -x .venv-llama/bin/python || $(PYTHON) -m venv .venv-llama
	CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF" .venv-llama/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/llama-constraints.txt

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell src tests benchmarks docs recipes README.md
	$(BIN)/vulture
	$(BIN)/deptry src
	$(BIN)/basedpyright

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-litgpt .venv-datatrove runs build .coverage*
