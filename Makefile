# make report   judge everything that can run here and write reports/latest/README.md
# make test     our own tests, and the suite on the built-in implementations
# make gpu      everything that needs the device, from a bare checkout, into one folder (OUT=...)
# make lint     ruff and mypy

PYTHON ?= python3
VENV ?= .venv
OUT ?= gpu-results
REPORT ?= reports/latest
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --disable-pip-version-check --quiet -c constraints.txt

# pytest answers 1 where some implementation failed: a verdict that the report is about, not a fault of the run.
JUDGED := || [ $$? -eq 1 ]

.PHONY: report test gpu lint clean

report: $(VENV)/.peers
	@mkdir -p $(REPORT)
	@echo "1 of 3: judging every implementation"
	$(RUN) -m pytest conformance --thorough -n auto -q --no-header --tb=no -rN --records $(REPORT)/conformance.jsonl $(JUDGED)
	@echo "2 of 3: measuring speed"
	$(RUN) -m pytest --benchmark-only --quick -q --no-header --tb=no -rN --benchmark-columns=median,iqr,rounds --records $(REPORT)/speed.jsonl $(JUDGED)
	@echo "3 of 3: writing the report"
	$(RUN) -m reports $(REPORT)/conformance.jsonl $(REPORT)/speed.jsonl -o $(REPORT)
	@echo "The report is in $(REPORT)/index.html and $(REPORT)/README.md"

test: $(VENV)/.tests
	$(RUN) -m pytest --thorough -n auto --impl built-in

gpu:
	$(PYTHON) -m conformance.gpu -o $(OUT)

lint: $(VENV)/.tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.tests: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing what the tests need (a few minutes)"
	$(INSTALL) -e '.[torch,dev]'
	@touch $@

$(VENV)/.peers: $(VENV)/.tests
	@echo "installing the published implementations (a few minutes)"
	$(INSTALL) -e '.[torch,dev,peers]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
