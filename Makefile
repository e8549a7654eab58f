# `make help` lists the targets. Everything runs in .venv, made on first use.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
DEMO := outputs/demo
ANY_POSE := outputs/demo_any_pose
NEW_HEADS = $(RUN) -c "from pin_lightning.data.sources.phantom import phantom_cases as p; p(seed=1000, $(HEADS))"
# A file's tests stay together, as they share what takes long to make. A worker that dies ends
# all: were it replaced, the others could wait for ever at the end (pytest-xdist issue 1378).
# Fast tests check the types of arguments; in slow ones, programs run as users run them.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n auto --dist loadfile --max-worker-restart 0 --durations=20

# Where it is set, as in many images, every program that a test starts would compile this package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo demo-in-line demo-any-pose test test-all lint docs format bench clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(INSTALLED)  ## make the virtual environment and install everything

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

demo: demo-in-line demo-any-pose  ## phantoms: training, errors, a new volume; then in any orientation (12 minutes)
	@echo
	@echo "Look at:"
	@echo "  $(DEMO)/report.html              what the model can and cannot do, on one page"
	@echo "  $(DEMO)/figures/                 the pictures of that page"
	@echo "  $(DEMO)/prediction/review.html   the new volume, to be looked over"
	@echo "  $(DEMO)/prediction/*_TV.png      its standard planes"
	@echo "  $(DEMO)/prediction/*.mrk.json    landmarks of the new volume: drop both files on 3D Slicer"
	@echo "  $(ANY_POSE)/...         the same for heads in any orientation, five of them annotated"

demo-in-line: HEADS := root='$(DEMO)/new_volume', num_cases=1
demo-in-line: $(INSTALLED)  # heads along the axes of their volumes, by the paper's model (2 minutes)
	$(RUN) train.py experiment=demo model=multi run_dir=$(DEMO)
	$(NEW_HEADS)
	$(RUN) infer.py run=$(DEMO) input='$(DEMO)/new_volume/images/*.nii.gz' output=$(DEMO)/prediction overwrite=true

demo-any-pose: HEADS := root='$(ANY_POSE)/new_volumes', num_cases=4, size=(65, 42, 56), spacing_mm=[2.5] * 3, turned='scan', field=1.5
demo-any-pose: $(INSTALLED)  # heads in any orientation, five of them annotated (10 minutes)
	$(RUN) train.py experiment=demo_any_pose run_dir=$(ANY_POSE)
	$(NEW_HEADS)
	$(RUN) infer.py run=$(ANY_POSE) input='$(ANY_POSE)/new_volumes/images/*.nii.gz' output=$(ANY_POSE)/prediction overwrite=true

test: $(INSTALLED)  ## fast tests
	$(PYTEST) -m "not slow"

test-all: $(INSTALLED)  ## lint, types, documentation, the first demo and every test
	$(MAKE) -j3 --output-sync lint docs demo-in-line
	$(PYTEST) -m slow --jaxtyping-packages=
	$(MAKE) test

lint: $(INSTALLED)  ## ruff, ruff format, mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

docs: $(INSTALLED)  ## documentation in site/, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet --strict

format: $(INSTALLED)  ## let ruff rewrite what it can
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: $(INSTALLED)  ## time every part beside this machine's ceilings, then memory and cold start
	$(RUN) benchmarks/run.py
	$(RUN) benchmarks/programs.py

clean:  ## remove environment, caches and outputs
	rm -rf $(VENV) .cache outputs multirun data site *.egg-info .mypy_cache .pytest_cache .ruff_cache
