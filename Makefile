# Front door. CMake does the work (CMakeLists.txt, CMakePresets.json).
BUILD  := build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
CMAKE_FLAGS ?=
RUN    := runs/hypergrid_64
RACE   ?=

.PHONY: help run test bench race build deps clean format lint install

help:
	@echo 'make run      install what is missing, build, train a 64x64 hypergrid (about a minute), draw it'
	@echo 'make test     the same build, then every test and every example'
	@echo 'make bench    ms per iteration, against the floor set by the matrix rate of this machine'
	@echo 'make race     beside gfnx and torchgfn, which it installs (6 GB): under an hour; RACE=--quick for a look'
	@echo 'make build    the library, $(BUILD)/fluvial, examples, benchmarks, tests'
	@echo 'make install  into PREFIX=$(PREFIX)'
	@echo 'make format   clang-format over all sources'
	@echo 'make lint     format, clang-tidy, cppcheck, include directions'
	@echo 'make clean    remove build folders; runs/ stays'

deps:
	@tools/install-deps.sh

build: deps
	@if [ ! -f $(BUILD)/build.ninja ] && [ ! -f $(BUILD)/Makefile ]; then \
	  cmake --preset release $$(command -v ninja >/dev/null && echo -G Ninja) $(CMAKE_FLAGS); fi
	@cmake --build $(BUILD) --parallel $(JOBS)

# A run is never overwritten: runs/hypergrid_64, then runs/hypergrid_64-2, -3, ...
run: build
	@out=$(RUN); n=2; while [ -e $$out ]; do out=$(RUN)-$$n; n=$$((n + 1)); done; \
	$(BUILD)/fluvial train configs/hypergrid_64.yaml --out $$out

test: build
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(JOBS)

bench: build
	@$(BUILD)/bench/engine

# An interrupted race goes on where it was; what build/race/results.csv has is measured again only with RACE=--again.
race: build
	@tools/install-deps.sh --race
	@python3 bench/race/race.py $(RACE)
	@cp $(BUILD)/race/results.csv bench/race/results.csv
	@python3 bench/race/report.py

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@tools/lint.sh --format

lint:
	@tools/lint.sh

clean:
	@rm -rf build build-*
