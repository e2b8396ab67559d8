#!/usr/bin/env bash
# The race's driver and fluvial's part in it, without the other programs: tests/check_race.py.
set -eu
fluvial=$(realpath "${1:-${FLUVIAL_BIN:?which fluvial?}}")
command -v python3 >/dev/null || { echo 'test_race: skipped: there is no python3'; exit 0; }
cd "${2:-${FLUVIAL_SOURCE:-$(dirname "$0")/..}}"
PYTHONDONTWRITEBYTECODE=1 exec python3 tests/check_race.py "$(dirname "$fluvial")/bench/race"
