#!/usr/bin/env bash
# tools/convert_molecule_reward.py on pickles made here: tests/check_convert_molecule_reward.py.
set -eu
command -v python3 >/dev/null || { echo 'test_convert_molecule_reward: skipped: there is no python3'; exit 0; }
cd "${FLUVIAL_SOURCE:-$(dirname "$0")/..}"
PYTHONDONTWRITEBYTECODE=1 exec python3 tests/check_convert_molecule_reward.py tools
