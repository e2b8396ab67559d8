#!/bin/sh
# The paper's hypergrid results: trains every file of configs/paper/hypergrid over seeds, two runs at a time, one
# thread each; finished runs are kept and broken ones resumed, so it can be called again and again. Then writes
# docs/paper/hypergrid.md and its figures from what the runs recorded.
#
#   tools/paper_hypergrid.sh [SEEDS] [PATTERN]     e.g. "1 2 3" '128x128_tb_*'
#   tools/paper_hypergrid.sh report                only the report, from the runs there are
set -eu
cd "$(dirname "$0")/.."
fluvial=${FLUVIAL:-build/fluvial}
runs=${RUNS:-runs/paper/hypergrid}
mkdir -p "$runs" docs/paper

one() { # CONFIG SEED
  name=$(basename "$1" .yaml) && out="$runs/$name-s$2"
  if [ -d "$out" ]; then "$fluvial" train --resume "$out" --threads 1 --quiet
  else "$fluvial" train "$1" --set seed="$2" --out "$out" --threads 1 --quiet; fi
}

if [ "${1:-}" = one ]; then
  one "$2" "$3"
  exit
fi
if [ "${1:-}" != report ]; then
  seeds=${1:-1 2 3} pattern=${2:-*}
  for seed in $seeds; do
    for config in configs/paper/hypergrid/$pattern.yaml; do echo "$config $seed"; done
  done | xargs -P "${JOBS:-2}" -L 1 "$0" one
fi
exec tools/paper_hypergrid_report.sh "$runs"
