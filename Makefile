# make report   judge everything that can run here and write reports/latest/README.md
# make test     our own tests, and the suite on the built-in implementations
# make publish  render reports/published/ and the README's first figures from the records in it (PUBLISHED=...)
# make gpu      everything that needs the device, from a bare checkout, into one folder (OUT=...)
# make lint     ruff, mypy and the import layers
# make docs     build the documentation site into site/; every link in it must lead somewhere

PYTHON ?= python3
VENV ?= .venv
OUT ?= gpu-results
REPORT ?= reports/latest
PUBLISHED ?= reports/published/cpu
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --disable-pip-version-check --quiet -c constraints.txt

# pytest answers 1 where some implementation failed: a verdict that the report is about, not a fault of the run.
JUDGED := || [ $$? -eq 1 ]
# Everything by name, which leaves out the mutants: they test the suite itself, which is the business of `make test`.
EVERYTHING := --impl '*'

# Other releases of the published implementations, each in a folder of its own.
RELEASES := $(abspath $(VENV))/releases

# One more than there are cores: many tests wait for a process that they have started. What measures has its own rule.
WORKERS ?= $(shell expr `getconf _NPROCESSORS_ONLN` + 1)

.PHONY: report test publish gpu lint docs clean

report: export GAUGEBLOCK_PACKAGES := $(RELEASES)
report: $(VENV)/.releases
	@mkdir -p $(REPORT)
	@echo "1 of 5: judging every implementation"
	$(RUN) -m pytest conformance $(EVERYTHING) -n $(WORKERS) -q --no-header --tb=no -rN --records=$(REPORT)/conformance.jsonl $(JUDGED)
	@echo "2 of 5: measuring speed"
	$(RUN) -m pytest --benchmark-only --quick -q --no-header --tb=no -rN --benchmark-columns=median,iqr,rounds --records=$(REPORT)/speed.jsonl $(JUDGED)
	@echo "3 of 5: measuring what the papers claim, in short"
	$(RUN) -m conformance.studies.claims --quick --records=$(REPORT)/claims.jsonl $(JUDGED)
	@echo "4 of 5: following the error along lengths, in short"
	$(RUN) -m conformance.studies.curves --quick --records=$(REPORT)/curves.jsonl $(JUDGED)
	@echo "5 of 5: writing the report"
	$(RUN) -m reports $(foreach kind,conformance speed claims curves,$(REPORT)/$(kind).jsonl) -o $(REPORT)
	@echo "The report is in $(REPORT)/index.html and $(REPORT)/README.md"

test: $(VENV)/.tests
	$(RUN) -m pytest --thorough -n $(WORKERS) --impl built-in

# Nothing is measured here: copy the records of a good run into $(PUBLISHED) first.
publish: $(VENV)/.tests
	$(RUN) -m reports $(PUBLISHED)/*.jsonl -o $(PUBLISHED)
	$(RUN) -m reports index reports/published
	$(RUN) -m reports readme $(PUBLISHED) README.md
	$(RUN) -m reports.census reports/published/census/records

gpu:
	$(PYTHON) -m conformance.runners.gpu -o $(OUT)

lint: $(VENV)/.tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.tests
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict
	@echo "The site is in site/index.html"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.tests: $(VENV)/bin/python pyproject.toml setup.py constraints.txt
	@echo "installing what the tests need (a few minutes)"
	$(INSTALL) -e '.[torch,suite,dev]'
	@touch $@

$(VENV)/.peers: $(VENV)/.tests
	@echo "installing the published implementations (a few minutes)"
	$(INSTALL) -e '.[torch,suite,dev,peers,examples]'
	@touch $@

$(VENV)/.releases: $(VENV)/.peers impls/ademamix/adapters/releases.py
	@echo "installing other releases of some of them (half a minute)"
	@$(RUN) -m impls.ademamix.adapters.releases $(RELEASES) && touch $@ || echo "what could not be installed will be reported as not run"

clean:
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
