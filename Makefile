# Needs python3 and make, nothing else: each target installs what it needs. `make` lists the targets.
# On Windows: from Git Bash, with uv installed.
.DEFAULT_GOAL := help
BIN     := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
PYTHON  := .venv/$(BIN)/python
OWN_UV  := $(if $(shell command -v uv),,.uv/$(BIN)/uv)# for a machine without uv
UV      := $(or $(OWN_UV),uv)
UV_VERSION := 0.13.9# of OWN_UV, and of continuous integration
EXTRAS  := sweep,slurm,demo,export,suites,mirror
ARGS    ?= data=csv trainer.max_epochs=3
# Without bytecode, importing Lightning takes three times as long.
export UV_COMPILE_BYTECODE := 1
# Windows would read and write texts in another encoding.
export PYTHONUTF8 := 1

.PHONY: help train test test-gpu test-slow test-lowest bench lint format verify hashes tensorboard clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

train: .venv/.installed ## train and test a network; other settings: make train ARGS="data=image model=mlp"
	$(PYTHON) -m mnist_exp.train $(ARGS)

test: .venv/.installed ## the fast tests; with an NVIDIA GPU, also those that need one
	$(PYTHON) -m pytest -n 2
	@if nvidia-smi > /dev/null 2>&1; then $(MAKE) test-gpu; fi

test-gpu: .venv/.installed ## the tests that need an NVIDIA GPU: all others hide it
	$(PYTHON) -m pytest -m gpu

test-slow: .venv/.installed ## all tests, also those that train on all of MNIST
	$(PYTHON) -m pytest -m "not gpu"

test-lowest: $(OWN_UV) ## the fast tests with the lowest versions that pyproject.toml allows, in .venv-lowest
	$(UV) venv --clear .venv-lowest
	$(UV) pip install --python .venv-lowest --resolution lowest-direct --editable '.[$(EXTRAS)]' --group dev
	.venv-lowest/$(BIN)/python -m pytest -n 2

bench: ARGS :=
bench: .venv/.installed ## measure time and memory; only a part: make bench ARGS="bench.only=[loop,csv]"
	-$(UV) pip install --quiet --python $(PYTHON) --group bench # contenders that cannot be installed are left out
	$(PYTHON) -m scripts.bench $(ARGS)

lint: .venv/.installed ## check with ruff and mypy
	.venv/$(BIN)/ruff check
	.venv/$(BIN)/ruff format --check
	.venv/$(BIN)/mypy

format: .venv/.installed ## fix what ruff can fix automatically
	.venv/$(BIN)/ruff check --fix
	.venv/$(BIN)/ruff format

verify: .venv/.installed ## install the dependencies again, each checked against its SHA-256 in scripts/hashes.txt
	$(UV) pip install --python $(PYTHON) --reinstall --require-hashes --requirements scripts/hashes.txt

hashes: $(OWN_UV) ## write scripts/hashes.txt anew, after a change of the dependencies
	$(UV) pip compile --quiet --universal --generate-hashes --no-annotate --no-header --all-extras --group dev --output-file scripts/hashes.txt pyproject.toml

tensorboard: .venv/.installed ## show all runs at http://localhost:6006
	.venv/$(BIN)/tensorboard --logdir outputs

clean: ## delete what the tools made; runs and data stay
	rm -rf .venv .venv-lowest .uv .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml | $(OWN_UV)
	@echo "Installing into .venv. It takes 5 GB, or 4 GB less with UV_TORCH_BACKEND=cpu make ..."
	test -d .venv || $(UV) venv .venv
	$(UV) pip install --python $(PYTHON) --editable '.[$(EXTRAS)]' --group dev
	touch $@

.uv/$(BIN)/uv:
	@echo "Installing uv, which installs Python packages, into .uv."
	python3 -m venv .uv
	.uv/$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
