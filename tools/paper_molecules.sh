#!/bin/sh
# The paper's figure on molecules: trains the files of configs/paper/molecules for each exponent and learning rate, two
# runs at a time, one thread each, and takes the correlation of log p and log R on the given molecules. Finished runs are
# kept and broken ones resumed, so it can be called again and again; tools/paper_molecules_report.py makes the figure.
#
#   tools/paper_molecules.sh VOCABULARY.json WEIGHTS.safetensors MOLECULES.tsv
#
# Of the environment: EXPONENTS (4 8 10 16), RATES (5e-5 1e-4 5e-4 1e-3), SEEDS (1), PATTERN of configurations ([rt]*: the
# paper's figure; * for forward KL and the rest, too), ITERATIONS (50000), JOBS (2), RUNS (runs/paper/molecules).
set -eu
cd "$(dirname "$0")/.."
fluvial=${FLUVIAL:-build/fluvial}
runs=${RUNS:-runs/paper/molecules}

one() { # CONFIG EXPONENT RATE SEED VOCABULARY WEIGHTS MOLECULES
  name="$(basename "$1" .yaml)-b$2-lr$3-s$4" out="$runs/$name"
  [ -s "$out/correlation.txt" ] && return
  if [ -d "$out" ]; then "$fluvial" train --resume "$out" --threads 1 --quiet
  else
    "$fluvial" train "$1" --set env.path="$5" --set reward.path="$6" --set reward.exponent="$2" \
      --set optimiser.lr="$3" --set optimiser.lr_log_z="$3" --set seed="$4" \
      --set iterations="${ITERATIONS:-50000}" --out "$out" --threads 1 --quiet
  fi
  "$fluvial" eval "$out" --molecules "$7" --out "$out/molecules.csv" --threads 1 >"$out/correlation.part"
  mv "$out/correlation.part" "$out/correlation.txt"
}

if [ "${1:-}" = one ]; then
  shift
  one "$@"
  exit
fi
[ $# -eq 3 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$runs"
for seed in ${SEEDS:-1}; do
  for rate in ${RATES:-5e-5 1e-4 5e-4 1e-3}; do
    for exponent in ${EXPONENTS:-4 8 10 16}; do
      for config in configs/paper/molecules/${PATTERN:-[rt]*}.yaml; do
        echo "$config $exponent $rate $seed $1 $2 $3"
      done
    done
  done
done | RUNS=$runs xargs -P "${JOBS:-2}" -L 1 "$0" one
