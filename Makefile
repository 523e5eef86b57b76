# The commands of the project; `make help` lists them.
PYTHON ?= python3
PIP_FLAGS ?=
SIZE ?= 160
BIN := .venv/bin
ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help setup lab studio test slow notebooks studies sheet slides present figures bench format

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.installed ## install everything into .venv, unless nothing changed

lab: .venv/.installed ## open the series in JupyterLab
	@# Opened through its address: given as a file, its folder would be the root, out of reach of images/.
	@# Trusted, so that stored tables keep their colours and stored sliders work before anything is run.
	@$(BIN)/jupyter trust notebooks/*.ipynb > /dev/null
	$(BIN)/jupyter lab $(ROOT) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

studio: .venv/.installed ## serve one page for your own pictures, on this machine only
	@# The folder has the page's template and its settings: loopback, nothing from other hosts, large uploads.
	JUPYTER_PATH=helpers/widgets/page JUPYTER_CONFIG_PATH=helpers/widgets/page \
		$(BIN)/voila notebooks/studio.ipynb

test: .venv/.installed ## check style and run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest
	@# Once more without the engine: the lesson does not need it. (What converges at 224 px takes minutes so.)
	NST_ENGINE=plain $(BIN)/python -m pytest tests/lesson -k "not 224_px"

slow: .venv/.installed ## run the tests that take minutes each, about 25 in all
	$(BIN)/python -m pytest -m slow

notebooks: .venv/.installed ## run changed notebooks at full quality and store outputs (ALL=1: every one)
	$(BIN)/python notebooks/run.py $(if $(ALL),--all)
	@# Their own cells once more, with an empty table of progress instead of that of whoever runs this.
	$(BIN)/python notebooks/exercises.py

studies: .venv/.installed ## make the stored results again that lessons and answers load (three quarters of an hour on one core)
	for study in notebooks/studies/*.py; do $(BIN)/python $$study || exit 1; done

sheet: .venv/.installed ## write every question with its answer in one line to notebooks/answers.html, to print
	$(BIN)/python notebooks/handbook.py --sheet notebooks/answers.html

slides: .venv/.installed ## build the talk: slides/talk.html, one file without a network, and a handout
	$(BIN)/python notebooks/talk/build.py

present: .venv/.installed ## show the talk, with two runs that start from a slide (s: speaker view)
	$(BIN)/python notebooks/talk/present.py

bench: .venv/.installed ## measure speed and memory into benchmarks/ (ONLY="1 5": these targets)
	$(BIN)/python benchmarks/run.py $(ONLY)

figures: .venv/.installed ## make Figures 1, 2 and 3 of the paper in figures/ (SIZE=160 pixels; what is there is kept)
	@# As at 512 px: at the paper's α/β a small picture would keep nothing of the photograph.
	$(BIN)/python -m helpers figure all --size $(SIZE) --steps 80 --as-at 512

format: .venv/.installed ## format code and notebooks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Stands for "installed as pyproject.toml says"; removed when the installation fails half-way.
.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[dev]'
	@touch $@
