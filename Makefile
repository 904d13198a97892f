# `make finding1` and `make test` need nothing but make, Debian or Ubuntu and a Python; tools/setup.sh does the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Two apt-get runs at once, or two pips, would be in each other's way.
.NOTPARALLEL:
.PHONY: help finding1 test test-lowest lint figures venv gl clean-venv

TASK ?= lever_pull
PRESET ?= quick
EXTRAS ?= test,dmc,atari,tensorboard,cluster
CONSTRAINTS ?= constraints.txt
export PYTHON EXTRAS CONSTRAINTS PIP_ARGS

PY := .venv/bin/python
# The miniature task is drawn with NumPy and needs no GL library.
FINDING1_GL := $(if $(filter mini_%,$(TASK)),,gl)
# What goes through every command, file format and simulator.
LOWEST := $(addprefix tests/,$(addsuffix .py,test_commandline test_documents test_envs test_envs_dmc test_envs_metaworld \
	test_figures test_finding1 test_inputs test_logger test_multitask_runs test_notebooks \
	test_offline_buffers test_places test_resume test_results test_slurm_plan test_studies test_trainer))
FINDING1 := -m analysis.finding1 --task $(TASK) --preset $(PRESET) $(if $(MODE),--mode $(MODE)) \
	$(if $(SEEDS),--seeds $(SEEDS)) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

help: ## this list
	@echo "make TARGET [VARIABLE=value ...]"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Variables (with what they are now):"
	@echo "  TASK=$(TASK) PRESET=$(PRESET) MODE=$(MODE) SEEDS=$(SEEDS) WORKERS=$(WORKERS)   of finding1"
	@echo "  ARGS=$(ARGS)   more arguments, for finding1, for pytest (test) or for every figure"
	@echo "  PYTHON=$(PYTHON)   the interpreter that .venv is made with (make clean-venv first to change it)"
	@echo "  EXTRAS=$(EXTRAS) CONSTRAINTS=$(CONSTRAINTS) PIP_ARGS=$(PIP_ARGS)   of the install"

finding1: $(FINDING1_GL) venv ## the paper's first finding: train, analyse, draw, judge
	@echo "hdream: python $(strip $(FINDING1))"
	@$(PY) $(FINDING1)

test: gl venv lint ## ruff, then every test
	@echo "hdream: $(strip pytest -n $(or $(WORKERS),2) $(ARGS))"
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(or $(WORKERS),2) --dist loadfile $(ARGS)

# PyTorch stays at the tested version: an older one brings its CUDA libraries, gigabytes of them, wherever pip has no
# index of CPU builds. What old releases call deprecated by now is no fault of ours.
test-lowest: gl ## the tests that go through every command, with the lowest version of each requirement
	@python=$$(tools/setup.sh python lowest) && $$python tools/lowest.py >.venv-lowest.txt && \
		PYTHON=$$python CONSTRAINTS=.venv-lowest.txt EXTRAS=$(EXTRAS),notebooks tools/setup.sh venv .venv-lowest
	@echo "hdream: $(strip pytest -n $(or $(WORKERS),2) $(or $(ARGS),$(LOWEST)))"
	@OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n $(or $(WORKERS),2) --dist loadfile \
		-W ignore::DeprecationWarning $(or $(ARGS),$(LOWEST))

lint: venv ## ruff alone
	@echo "hdream: ruff check"
	@$(PY) -m ruff check --output-format concise .

figures: venv ## redraw every figure from the results in figures/data
	@echo "hdream: $(strip python -m figures $(ARGS))"
	@$(PY) -m figures $(ARGS)

venv: ## .venv with everything that the other targets need, installed once
	@tools/setup.sh venv

gl: ## look for a GL library that renders off screen; root on Debian installs it
	@tools/setup.sh gl

clean-venv: ## remove .venv and .venv-lowest
	@echo "hdream: removing .venv and .venv-lowest"
	@rm -rf .venv .venv-lowest .venv-lowest.txt
