# ptxjit: `make` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
N ?= 200
DEVICE ?= cpu
SEED ?= 0
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test fast check bench fuzz corpus mutants mutated golden clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: $(STAMP) ## the main job: digits, a photograph, and one kernel's PTX
	@$(PY) examples/digits.py
	@$(PY) examples/photo.py
	@$(PY) -m ptxjit show examples/photo.py:unsharp "f32[427,640,3]" --target ptx:sm_90 --stage ptx

test: $(STAMP) ## the whole suite, deterministic
	@$(PY) -m pytest -n 2 -p no:cacheprovider

fast: $(STAMP) ## the suite without what takes long
	@$(PY) -m pytest -n 2 -m "not slow" -p no:cacheprovider

check: $(STAMP) ## ruff, mypy, tests
	@$(PY) -m ruff check ptxjit ir targets tests examples benchmarks scripts
	@$(PY) -m mypy -p ptxjit
	@$(PY) -m pytest -n 2 -p no:cacheprovider

bench: $(STAMP) ## speed beside the peers that are installed, as ratios
	@$(PY) benchmarks/run.py
	@$(PY) benchmarks/ptx.py

fuzz: $(STAMP) ## N random programs against NumPy: make fuzz N=400 SEED=1 DEVICE=opencl:0
	@$(PY) -m ptxjit.testing.fuzz --n $(N) --seed $(SEED) --device $(DEVICE)

corpus: $(STAMP) ## every variant of every kernel of the PTX corpus, run on the CPU and checked
	@PTXJIT_CORPUS=all $(PY) -m pytest tests/corpus tests/check/test_corpus.py -n 2 -q -p no:cacheprovider

mutants: $(STAMP) ## changes our meaning of PTX, one at a time: the tests must notice
	@$(PY) tests/mutants.py --seed $(SEED)

mutated: $(STAMP) ## N damaged PTX files, each an answer or an error: make mutated N=20000
	@PTXJIT_MUTATED=$(N) $(PY) -m pytest tests/faults/test_mutated_ptx.py -q -s -p no:cacheprovider

golden: $(STAMP) ## writes the golden files anew
	@$(PY) -m pytest tests --update-golden -p no:cacheprovider

clean: ## removes the environment and everything built
	rm -rf $(VENV) build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml
	@command -v git >/dev/null || { echo "git is missing: install it with your package manager (apt-get install git)"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is too old: Python 3.10 or newer is needed (make PYTHON=…)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (once) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check -e '.[dev,ptxas,examples,opencl,cuda]'
	@touch $(STAMP)
