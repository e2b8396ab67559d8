#!/usr/bin/env bash
# 20 variables with a known graph: `fluvial structure` beside PC (causal-learn) and GES (ges), both from PyPI in a
# virtual environment of their own. Data of `fluvial synth dag`; data set, graph and run share a seed. One thread
# everywhere, one thing at a time. What is there is kept, so it can be called again and again. Prints and writes
# docs/paper/structure_20.md and structure_20.csv.
#
#   tools/structure_baseline.sh [SEEDS] [METHODS]     e.g. "1 2 3 4 5" "fluvial fluvial_fair mcmc:1000000 pc pc:100 ges ges:10"
set -euo pipefail
cd "$(dirname "$0")/.."
fluvial=${FLUVIAL:-build/fluvial}
runs=${RUNS:-runs/paper/structure_20}
seeds=${1:-1 2 3 4 5}
methods=${2:-fluvial fluvial_fair mcmc:1000000 pc pc:100 ges ges:10}
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
mkdir -p "$runs"

python=$runs/venv/bin/python
if [ ! -x "$python" ]; then
  python3 -m venv "$runs/venv"
  "$python" -m pip install --quiet causal-learn==0.1.4.3 ges==1.1.1
fi

bayes() { # DATA OUT OPTIONS...: CPU seconds, training and report
  local data=$1 out=$2
  shift 2
  [ ! -f "$out.seconds" ] || return 0
  rm -rf "$out"
  local TIMEFORMAT='%U'
  { time "$fluvial" structure "$data/data.csv" --truth "$data/graph.csv" --threads 1 --quiet --out "$out" "$@"; } \
    2>"$out.log" || { cat "$out.log" >&2; return 1; }
  tail -n 1 "$out.log" >"$out.seconds"
}

for seed in $seeds; do
  data=$runs/data-s$seed
  [ -d "$data" ] || "$fluvial" synth dag -d 20 --edges 20 -n 100 --seed "$seed" --out "$data" >/dev/null
  for method in $methods; do
    out=$runs/${method/:/_}-s$seed
    case $method in
    fluvial) bayes "$data" "$out" --seed "$seed" ;;
    fluvial_fair) bayes "$data" "$out" --seed "$seed" --prior fair ;;
    *)
      [ -f "$out.seconds" ] ||
        "$python" tools/structure_baseline.py fit "$method" "$data/data.csv" "$out.npy" "$out.seconds" 2>"$out.log" ||
        { cat "$out.log" >&2; exit 1; } ;;
    esac
  done
done
exec "$python" tools/structure_baseline.py table "$runs" "$seeds" "$methods"
