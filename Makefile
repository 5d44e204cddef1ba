# make check: sets up .venv and runs lint, types, structure and quick tests; under two minutes.
# Everything else that has to pass is in .ci/run.

BIN := .venv/bin
QUICK := not slow and not long and not kernel and not toolchain and not readers

.PHONY: check lint test all quick docs clean

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

# the site in build/docs; a link to no page, heading or picture is an error; its size is printed
docs: .venv/ready
	$(BIN)/python -c 'import furo, myst_parser' || $(BIN)/pip install --quiet --editable '.[docs]'
	$(BIN)/sphinx-build --quiet --fail-on-warning --builder html docs build/docs
	du --summarize --human-readable --exclude=.doctrees build/docs

# installed anew after a change of what the compiled twin is made from
.venv/ready: pyproject.toml setup.py $(wildcard layout/tree/*.py layout/memory/*.py layout/compiled/*.p*)
	python3 -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	touch $@

clean:
	rm -rf .venv build dist
