# make check: sets up .venv and runs lint, types, structure and quick tests; under two minutes.
# Everything else that has to pass is in .ci/run.

BIN := .venv/bin
QUICK := not slow and not long and not kernel and not toolchain and not readers

PYODIDE := pyodide@314.0.7
SPHINX := $(BIN)/sphinx-build --quiet --fail-on-warning --builder html

.PHONY: check lint test all quick docs site clean

check: lint test

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports

test: .venv/ready
	$(BIN)/pytest -q -n auto -m "$(QUICK)"

# the tests that are quick, as pytest's -m takes them
quick:
	@echo "$(QUICK)"

# every test but campaigns of minutes
all: .venv/ready
	$(BIN)/pytest -q -n auto

# the pages in build/docs, without the playground; a link to no page, heading or picture is an error
docs: .venv/with-docs
	$(SPHINX) docs build/docs
	$(BIN)/python docs/check_site.py build/docs

# the same with the playground, for which npm fetches Python for browsers
site: .venv/with-docs build/pyodide/node_modules/$(PYODIDE)
	$(SPHINX) -D playground_pyodide=build/pyodide/node_modules/pyodide docs build/docs
	$(BIN)/python docs/check_site.py build/docs

# installed anew after a change of what the compiled twin is made from
.venv/ready: pyproject.toml setup.py $(wildcard layout/tree/*.py layout/memory/*.py layout/compiled/*.p*)
	python3 -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	touch $@

.venv/with-docs: .venv/ready
	$(BIN)/python -c 'import furo, myst_parser' || $(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

build/pyodide/node_modules/$(PYODIDE):
	npm install --silent --no-save --prefix build/pyodide $(PYODIDE) || \
	  { echo 'make site: npm cannot fetch $(PYODIDE): `make docs` builds the pages without it' >&2; exit 1; }
	touch $@

clean:
	rm -rf .venv build dist
