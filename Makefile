# Needs python3 and make, nothing else: each target installs what it needs. `make` lists the targets.
.DEFAULT_GOAL := help
PYTHON  := .venv/bin/python
UV      := $(or $(shell command -v uv),.uv/bin/uv)
UV_VERSION := 0.13.9# for a machine without uv, and for continuous integration
EXTRAS  := sweep,slurm,demo,export
ARGS    ?= data=csv trainer.max_epochs=3
# Without bytecode, importing Lightning takes three times as long.
export UV_COMPILE_BYTECODE := 1

.PHONY: help train test test-slow bench lint format verify hashes tensorboard clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

train: .venv/.installed ## train and test a network; other settings: make train ARGS="data=image model=mlp"
	$(PYTHON) -m mnist_exp.train $(ARGS)

test: .venv/.installed ## the fast tests
	$(PYTHON) -m pytest -n 2

test-slow: .venv/.installed ## all tests, also those that train on all of MNIST
	$(PYTHON) -m pytest -m "slow or not slow"

bench: ARGS :=
bench: .venv/.installed ## measure time and memory; only a part: make bench ARGS="bench.only=[loop,csv]"
	-$(UV) pip install --quiet --python $(PYTHON) --group bench # contenders that cannot be installed are left out
	$(PYTHON) -m scripts.bench $(ARGS)

lint: .venv/.installed ## check with ruff and mypy
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: .venv/.installed ## fix what ruff can fix automatically
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

verify: .venv/.installed ## install the dependencies again, each checked against its SHA-256 in scripts/hashes.txt
	$(UV) pip install --quiet --python $(PYTHON) --reinstall --require-hashes --requirements scripts/hashes.txt

hashes: $(UV) ## write scripts/hashes.txt anew, after a change of the dependencies
	$(UV) pip compile --quiet --universal --generate-hashes --no-annotate --no-header --all-extras --group dev --output-file scripts/hashes.txt pyproject.toml

tensorboard: .venv/.installed ## show all runs at http://localhost:6006
	.venv/bin/tensorboard --logdir outputs

clean: ## delete what the tools made; runs and data stay
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml | $(UV)
	test -d .venv || $(UV) venv --quiet .venv
	$(UV) pip install --quiet --python $(PYTHON) --editable '.[$(EXTRAS)]' --group dev
	touch $@

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv==$(UV_VERSION)
