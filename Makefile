# The commands of the house. `make serve` and `make test` are all that a fresh clone needs; both can be repeated at will.
#
#   PYTHON=python3.13 make test     another interpreter, in an environment of its own (.venv-3.13)
#   ARGS='-k keep_alive -x'         more arguments for pytest (test, pure, abuse, bench-micro), bench/load.py (bench, bench-full)
#                                   or tests/autobahn/run.py (autobahn)
#   JOBS=4                          test processes side by side (test, pure)
#   PICOCORN_BUILD_EXTENSION=no     no compiled extensions

ifeq ($(origin PYTHON),undefined)
PYTHON := python3
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif

BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
FUZZ_SECONDS ?= 60
ARGS ?=
# Test processes side by side. Any number will do: no test knows of another, and what takes long mostly waits.
JOBS ?= 1
PYTEST := $(BIN)/python -m pytest $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --dist worksteal)
SOURCES := src tests bench fuzz examples scripts setup.py

.DEFAULT_GOAL := help
.PHONY: help serve test build dev lint types pure c-test fuzz abuse autobahn bench bench-full bench-micro instructions dist clean

help:
	@echo "make serve    serve examples/hello.py on http://$(HOST):$(PORT)/"
	@echo "make test     run the whole suite"
	@echo "make build    (re)build the extensions        make pure     the suite without them"
	@echo "make lint     ruff and cython-lint            make types    mypy --strict"
	@echo "make c-test   the C codec under sanitizers    make fuzz     every fuzz target, FUZZ_SECONDS=$(FUZZ_SECONDS) each"
	@echo "make abuse    the attacks in their large form make dist     sdist and wheel"
	@echo "make autobahn the WebSocket conformance suite, both bodies; needs a Python 2.7; ARGS=--quick takes a minute"
	@echo "make bench    against the peers, five minutes make bench-full   all of it, 45 minutes, --resume goes on"
	@echo "make bench-micro  parts, without sockets      make clean    remove what the above made"
	@echo "make instructions    instructions per request against the stored figures; needs valgrind"

build:
	@sh scripts/setup.sh "$(VENV)" "$(PYTHON)" run

dev:
	@sh scripts/setup.sh "$(VENV)" "$(PYTHON)" dev

serve: build
	@$(BIN)/python -m picocorn hello:app --app-dir examples --host $(HOST) --port $(PORT)

# Where nothing could be compiled (setup said so in a line), the suite runs over the pure bodies alone, and says that too.
test: dev
	@if $(BIN)/python -c 'from picocorn.base.native import NATIVE; raise SystemExit(not NATIVE)'; then :; else \
	    echo "picocorn: no extensions were built: testing the pure-Python bodies only" >&2; export PICOCORN_NO_EXTENSIONS=1; fi; \
	$(PYTEST) $(ARGS)

pure: dev
	@PICOCORN_NO_EXTENSIONS=1 $(PYTEST) $(ARGS)

lint: dev
	@$(BIN)/ruff check $(wildcard $(SOURCES))
	@$(BIN)/ruff format --check $(wildcard $(SOURCES))
	@PATH="$(abspath $(BIN)):$$PATH" cython-lint $(shell find src -name '*.pyx' -o -name '*.pxd')

types: dev
	@$(BIN)/mypy

c-test:
	@$(MAKE) -s -C csrc/test check

fuzz: dev
	@PATH="$(abspath $(BIN)):$$PATH" sh fuzz/run.sh $(FUZZ_SECONDS)

abuse: dev
	@$(BIN)/python -m pytest -m abuse $(ARGS)

# Ends with 3 where no Python 2.7 is to be had (make turns that into its own 2); ARGS=--may-skip makes that a line and no failure.
autobahn: dev
	@$(BIN)/python tests/autobahn/run.py $(ARGS)

# The suite keeps environments of its own, with the newest Python it finds; this one only runs it.
bench: build
	@$(BIN)/python bench/load.py $(ARGS)

bench-full: build
	@$(BIN)/python bench/load.py --full $(ARGS)

bench-micro: dev
	@$(BIN)/python -m pytest bench --benchmark-only --benchmark-enable $(ARGS)

# ARGS=--update stores what it counts; ARGS='--profile browser-get poller' shows where it goes.
instructions: dev
	@$(BIN)/python bench/instructions.py $(ARGS)

dist: dev
	@$(BIN)/python -m build --no-isolation --outdir dist .

clean:
	rm -rf build dist .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks csrc/test/build fuzz/build
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '*.egg-info' -prune -exec rm -rf {} +
	find src \( -name '*.so' -o -name '*.pyd' \) -exec rm -f {} +
