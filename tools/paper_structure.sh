#!/bin/sh
# The paper's Table 2, Bayesian structure learning: makes data, trains every file of configs/paper/structure on them,
# two runs at a time, one thread each, and writes each run's report. Data set, random graph and run share a seed.
# Finished runs are kept and broken ones resumed, so it can be called again and again, and what
# docs/paper/structure.csv has is not run again (AGAIN=1: it is). Then writes docs/paper/structure.md and its figure.
#
#   tools/paper_structure.sh [VARIABLES] [SEEDS] [PATTERN]   e.g. "5" "1 2 3 4 5" 'tb_*'
#   tools/paper_structure.sh report                          only the page, from the runs there are
set -eu
cd "$(dirname "$0")/.."
fluvial=${FLUVIAL:-build/fluvial}
runs=${RUNS:-runs/paper/structure}
mkdir -p "$runs/data" docs/paper

make_data() { # VARIABLES SEED
  [ -d "$runs/data/d$1-s$2" ] ||
    "$fluvial" synth dag -d "$1" --edges "$1" -n 100 --noise 0.1 --seed "$2" --out "$runs/data/d$1-s$2" >/dev/null
}

iterations() { # by the number of variables
  case $1 in 3) echo 6000 ;; 4) echo 12000 ;; *) echo 24000 ;; esac
}

evaluations() { # exact ones in a run; with 6 variables each takes tens of seconds
  case $1 in 6) echo 2 ;; *) echo 8 ;; esac
}

one() { # CONFIG VARIABLES SEED
  if [ -z "${AGAIN:-}" ] && grep -q "^$(basename "$1" .yaml),$2,$3," docs/paper/structure.csv 2>/dev/null; then return; fi
  data="$runs/data/d$2-s$3" out="$runs/d$2-$(basename "$1" .yaml)-s$3" n=$(iterations "$2")
  if [ -d "$out" ]; then "$fluvial" train --resume "$out" --threads 1 --quiet
  else
    "$fluvial" train "$1" --set reward.path="$data/data.csv" --set seed="$3" --set iterations="$n" \
      --set eval_every=$((n / $(evaluations "$2"))) --out "$out" --threads 1 --quiet
  fi
  if [ ! -f "$out/report/edges.csv" ]; then
    "$fluvial" structure --resume "$out" --truth "$data/graph.csv" --threads 1 --quiet
  fi
}

if [ "${1:-}" = one ]; then
  one "$2" "$3" "$4"
  exit
fi
if [ "${1:-}" != report ]; then
  variables=${1:-3 4 5} seeds=${2:-1 2 3 4 5} pattern=${3:-*}
  for seed in $seeds; do
    for d in $variables; do
      make_data "$d" "$seed" >&2
      for config in configs/paper/structure/$pattern.yaml; do echo "$config $d $seed"; done
    done
  done | xargs -P "${JOBS:-2}" -L 1 "$0" one
fi
exec tools/paper_structure_report.sh "$runs"
