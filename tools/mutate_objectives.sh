#!/usr/bin/env bash
# Mutation testing of the objectives: one sign, factor, term, call or condition of their sources is
# changed at a time, and `fluvial gradients` has to fail. Mutants are built in a temporary directory,
# from what is in build/.
#
#   tools/mutate_objectives.sh               every mutant; some minutes
#   tools/mutate_objectives.sh --sample 60   that many of them, the same ones every time (--seed)
#   tools/mutate_objectives.sh --help        the other options
#
# Exits non-zero when a mutant survives that tools/mutants_allowed.txt does not excuse with a reason.
set -eu
cd "$(dirname "$0")/.."
[ -f build/build.ninja ] || cmake --preset release -G Ninja >/dev/null
cmake --build build --target fluvial_cli --parallel "$(nproc)" | tail -1
exec python3 tools/mutate_objectives.py build "$@"
