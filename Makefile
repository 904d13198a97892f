# `make finding1` and `make test` need nothing but make, Debian or Ubuntu and a Python; tools/setup.sh does the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Two apt-get runs at once, or two pips, would be in each other's way.
.NOTPARALLEL:
.PHONY: help finding1 test lint figures venv gl clean-venv

TASK ?= lever_pull
PRESET ?= auto
EXTRAS ?= test,dmc,tensorboard,cluster
CONSTRAINTS ?= constraints.txt
export PYTHON EXTRAS CONSTRAINTS PIP_ARGS

PY := .venv/bin/python
# The miniature task is drawn with NumPy and needs no GL library.
FINDING1_GL := $(if $(filter mini_%,$(TASK)),,gl)
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

clean-venv: ## remove .venv
	@echo "hdream: removing .venv"
	@rm -rf .venv
