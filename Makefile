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

.PHONY: demo test check docs notebook browser bench dist clean

# The main job on the sample listings: train, test, compare, search, report.
demo: .venv/installed
	$(BIN)/photosieve demo

# Every check and test but the slow ones.
test: check browser
	$(BIN)/pytest --numprocesses 2 --dist worksteal

# Lint, format, types, import rules, and the documentation without a dead link.
check: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/unit/test_imports.py

# The documentation as a site, in site/.
docs: .venv/developed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The notebook in examples/ is made from the script beside it.
notebook: .venv/developed
	cd examples && ../$(BIN)/jupytext --to ipynb --set-kernel python3 listings.py && \
	    ../$(BIN)/jupyter-execute --inplace listings.ipynb

# The page is tested in Debian's Chromium, which is installed if there is none.
browser:
	command -v chromium google-chrome >/dev/null || \
	$(if $(filter-out 0,$(shell id -u)),sudo) sh -c "apt-get update && apt-get install --yes chromium"

# Every speed and quality claim, as a script that prints it.
bench: .venv/developed
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/cuts.py
	$(BIN)/python benchmarks/cuts_figure.py
	$(BIN)/python benchmarks/losses.py
	$(BIN)/python benchmarks/training.py --long
	$(BIN)/python benchmarks/index.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/models.py

# What is published: sdist and wheel; and of the wheel, installed where nothing else is, the bill of
# materials and the licenses. Fails on a license that does not go together with ours.
dist: .venv/developed
	rm -rf dist build/env
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m venv --without-pip build/env
	$(BIN)/python -m pip --python build/env install --quiet --no-compile \
	    --constraint constraints.txt dist/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	    --output-file dist/sbom.cdx.json build/env
	build/env/bin/python docs/make_licenses.py dist/licenses.md
	$(BIN)/pip-licenses --python build/env/bin/python --from mixed --format plain-vertical \
	    --with-license-file --no-license-path --with-notice-file --output-file dist/licenses.txt

.venv/installed: pyproject.toml constraints.txt
	$(call install,.)
	touch $@

# What is installed to develop is enough to run, too: nothing is installed twice.
.venv/developed: pyproject.toml constraints.txt
	$(call install,'.[dev]')
	touch .venv/installed $@

clean:
	rm -rf .venv build dist site photosieve-demo examples/listings-example
