# Targets with a line after ## are shown by `make help`.

CONFIG ?= base
CONFIG_NAME = $(notdir $(basename $(CONFIG)))
PYTHON ?= python3
PYTEST_ARGS ?=
JOBS ?= 2
FUSESOC_TARGETS ?= lint sim
DIST ?= tiny edge base large
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PNR_STAMP := $(VENV)/.installed-pnr
ifeq ($(origin CXX),default)
CXX := c++
else
export CXX
endif

.DEFAULT_GOAL := help
.PHONY: help check setup verilog dist fusesoc regs-html cosim verify verify-quick formal formal-mutants equivalence systems faults \
	unknowns gates coverage mutants fuzz bench networks accuracy accuracy-quick waves \
	test test-long test-large lint synth synth-limits pnr datasheet docs format clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  CONFIG is a preset (tiny, edge, base, large) or a TOML file; it is $(CONFIG)."

check: ## see whether the compiler, make, perl and Python are there
	@CXX=$(CXX) sh tools/check.sh $(PYTHON) $(MAKE)

$(STAMP): pyproject.toml models.txt
	@CXX=$(CXX) sh tools/check.sh $(PYTHON) $(MAKE)
	@sh tools/setup.sh $(PYTHON) $(VENV)
	@touch $@

setup: $(STAMP) ## install what is needed into .venv

verilog: $(STAMP) ## generate a core: build/CONFIG/ssvq_core.v, manifest, header, documentation, files for other flows
	@$(RUN) -m ssvq_gen $(CONFIG) --output build
	@$(RUN) -m ssvq_sim.smoke $(CONFIG) --output build

fusesoc: CONFIG = tiny
fusesoc: check verilog ## run FuseSoC targets of a core: FUSESOC_TARGETS="lint sim synth" (CONFIG=tiny unless given)
	@$(RUN) -m ssvq_gen.packaging.run_fusesoc $(CONFIG) --output build --target $(FUSESOC_TARGETS)

regs-html: verilog ## the registers as HTML pages: build/CONFIG/registers-html
	@$(RUN) -m peakrdl html build/$(CONFIG_NAME)/ssvq_core.rdl -o build/$(CONFIG_NAME)/registers-html

dist: $(STAMP) ## release archives of all presets, with sums: build/dist (DIST="tiny edge" for some)
	@for config in $(DIST); do \
		$(RUN) -m ssvq_gen $$config --output build && $(RUN) -m ssvq_sim.smoke $$config --output build || exit; done
	@$(RUN) -m ssvq_gen.packaging $(DIST) --output build

cosim: check $(STAMP) ## run real layers of real networks on the simulated core and compare every integer
	@$(RUN) -m ssvq_gen $(CONFIG) --output build
	@$(RUN) -m ssvq_sim.cosim --config $(CONFIG)

verify: check $(STAMP) ## proofs, systems, faults, mutants, coverage and fuzzing side by side, an hour: build/verify
	@$(RUN) -m ssvq_sim.verify $(VERIFY_ARGS)

verify-quick: check $(STAMP) ## a few minutes of it: build/verify/quick
	@$(RUN) -m ssvq_sim.verify --quick $(VERIFY_ARGS)

formal: $(STAMP) ## prove properties of streams, buses, arithmetic, jobs and cells (FORMAL_ARGS="--help" for more)
	@$(RUN) -m ssvq_sim.formal --output build/formal $(FORMAL_ARGS)

formal-mutants: $(STAMP) ## change what is proved in 300 places, and count what the proofs refuse (FORMAL_MUTANTS_ARGS="--help")
	@$(RUN) -m ssvq_sim.formal.mutants --output build/formal $(FORMAL_MUTANTS_ARGS)

equivalence: $(STAMP) ## prove that netlists of blocks do what their Verilog says: build/equivalence (EQUIVALENCE_ARGS="--help")
	@$(RUN) -m ssvq_sim.equivalence --output build/equivalence $(EQUIVALENCE_ARGS)

systems: check $(STAMP) ## run random programs on 40 random cores, and lint these: build/systems (SYSTEMS_ARGS="--help")
	@$(RUN) -m ssvq_sim.systems $(SYSTEMS_ARGS)

faults: check $(STAMP) ## inject a thousand faults of bus, host and descriptors into `tiny`: build/faults (FAULTS_ARGS="--help")
	@$(RUN) -m ssvq_sim.faults $(FAULTS_ARGS)

fuzz: $(STAMP) ## give damaged files to everything that reads files, 30 CPU minutes; goes on after a break (FUZZ_ARGS=--help)
	@$(RUN) -m ssvq_sim.fuzz --jobs $(JOBS) --output build/fuzz $(FUZZ_ARGS)

unknowns: check $(STAMP) ## run `tiny` without initial values, from random and unknown contents: build/unknowns (needs Debian's iverilog)
	@$(RUN) -m ssvq_sim.unknowns $(UNKNOWNS_ARGS)

gates: check $(STAMP) ## run netlists for iCE40 and Xilinx 7 of a shallow `tiny`, from random contents: build/gates (GATES_ARGS=--help)
	@$(RUN) -m ssvq_sim.gates $(GATES_ARGS)

coverage: check $(STAMP) ## count lines, branches, toggles and functional bins of `tiny` that the verification reaches: build/coverage
	@$(RUN) -m ssvq_sim.coverage $(COVERAGE_ARGS)

mutants: check $(STAMP) ## change `tiny` in 600 places, one at a time, and count what simulation notices: build/mutants
	@$(RUN) -m ssvq_sim.mutants $(MUTANTS_ARGS)

bench: check $(STAMP) ## measure matrix products and a whole DeiT-tiny against their rooflines: build/bench
	@$(RUN) -m ssvq_sim.bench $(BENCH_ARGS)

networks: check $(STAMP) ## run whole networks on the simulated core and the golden model: build/networks (NETWORKS_ARGS=--help)
	@$(RUN) -m ssvq_sim.networks $(NETWORKS_ARGS)

accuracy: $(STAMP) ## accuracy against bits for all methods, hours: docs/results (an interrupted sweep goes on)
	@$(RUN) -m ssvq.accuracy $(ACCURACY_ARGS)

accuracy-quick: $(STAMP) ## a few steps of every kind of run of `make accuracy`, minutes: build/accuracy/quick
	@$(RUN) -m ssvq.accuracy --quick $(ACCURACY_ARGS)

waves: check $(STAMP) ## write an FST of a small run, for GTKWave or Surfer
	@$(RUN) -m ssvq_sim.waves

# one thread a process: threads of several processes on the same cores wait for each other more than they work
test: check $(STAMP) ## run the tests, every value of their parameters once (PYTEST_ARGS=... for pytest, JOBS=... processes)
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) $(PYTEST_ARGS)

test-long: check $(STAMP) ## run the tests with all combinations of their parameters; `make test` has every value once
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --every-case $(PYTEST_ARGS)

test-large: check $(STAMP) ## the `large` preset, whose simulator takes minutes to build
	@SSVQ_LARGE=1 $(RUN) -m pytest tests/cosim/test_presets.py -k large $(PYTEST_ARGS)

lint: $(STAMP) ## ruff, mypy, and Verilator and Yosys on the generated Verilog
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy
	@$(RUN) -m mypy integration/litex/simulate.py
	@$(RUN) -m ssvq_gen.lint

synth synth-limits pnr: CONFIG = tiny
synth synth-limits: TARGET ?= xc7 ecp5
pnr: TARGET ?= ecp5
pnr: SEEDS ?= 5

synth: $(STAMP) ## synthesize with Yosys, by block (CONFIG=tiny TARGET="xc7 ecp5" unless given; xcup, gowin, ice40, all)
	@$(RUN) -m ssvq_gen.synthesis $(CONFIG) --target $(TARGET) --output build $(SYNTH_ARGS)

synth-limits: $(STAMP) ## the same, and write the counts to lint/synthesis.json, which `make synth` holds them to
	@$(RUN) -m ssvq_gen.synthesis $(CONFIG) --target $(TARGET) --output build --renew-limits

$(PNR_STAMP): $(STAMP)
	@$(RUN) -m pip install --disable-pip-version-check --quiet -e '.[pnr]'
	@touch $@

pnr: $(PNR_STAMP) ## place and route with nextpnr (CONFIG=tiny TARGET=ecp5 SEEDS=5 unless given; gowin, ice40)
	@$(RUN) -m ssvq_gen.synthesis.pnr $(CONFIG) --target $(TARGET) --seeds $(SEEDS) --output build $(PNR_ARGS)

datasheet: $(PNR_STAMP) ## area and frequency of the presets on all targets, hours; goes on after a break: build/datasheet
	@$(RUN) -m ssvq_gen.synthesis.datasheet --output build $(DATASHEET_ARGS)

docs: $(STAMP) ## write docs/registers.md from the register table
	@$(RUN) -m ssvq_gen.docs docs/registers.md

format: $(STAMP) ## format the Python sources
	@$(RUN) -m ruff check --fix
	@$(RUN) -m ruff format

clean: ## remove what was generated and built, but not .venv
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
