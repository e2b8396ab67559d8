#!/usr/bin/env bash
# What docs/objectives.md reports: trains every objective that `fluvial list` knows on the three problems of
# configs/objectives over seeds, one run at a time on one thread, and writes docs/objectives/results.csv, the page and
# its picture. Finished runs are kept, so it can be stopped and called again. Times are the processor's, in user mode; a
# whole sweep on one machine in one state is what makes them comparable: remove RUNS to measure anew.
#
#   tools/objectives_table.sh [SEEDS]      e.g. "1 2 3"; default "1 2 3 4 5"
#   tools/objectives_table.sh report       only results.csv and the page, from the runs there are
#   FLUVIAL, RUNS, DOCS                    the command, where runs are kept, and where docs/ is (of scratch trials)
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C OMP_WAIT_POLICY=passive
fluvial=$(realpath "${FLUVIAL:-build/fluvial}") runs=${RUNS:-runs/objectives} docs=${DOCS:-docs}
problems='grid8 grid16 faithful'
mkdir -p "$runs" "$docs/objectives"
"$fluvial" list objectives --table >"$runs/table.md"
# shellcheck disable=SC2016 # backticks of Markdown
mapfile -t objectives < <(sed -n 's/^| `\([a-z0-9_]*\)` .*/\1/p' "$runs/table.md")

# Draws no pictures: gnuplot's time is not the objective's.
train() { # PROBLEM OBJECTIVE SEED DIRECTORY [--set KEY=VALUE ...]
  local problem=$1 objective=$2 seed=$3 out=$4
  shift 4
  PATH=/nonexistent "$fluvial" train "configs/objectives/$problem.yaml" --set objective="$objective" --set seed="$seed" "$@" \
    --out "$out" --threads 1 --quiet 2>"$runs/log" || { /bin/cat "$runs/log" >&2; return 1; }
}

# Objects that follow the target as closely as so many can, from the target that tb's run drew (data of its picture: row
# x0, column x1): object x is there floor or ceil of n p(x) times.
objects() { # PROBLEM: writes $runs/PROBLEM.csv
  [ -s "$runs/$1.csv" ] || awk -v n=128000 '
    BEGIN {print "x0,x1"}
    NF == 0 {exit}
    {for (i = 1; i <= NF; i++) {sum += $i; for (; k < n && k + 0.5 < n * sum; k++) print row + 0 "," i - 1} row++}
    ' "$runs/$1-tb-${seeds%% *}/plots/learned.dat" >"$runs/$1.csv"
}

one() { # PROBLEM OBJECTIVE SEED
  local out=$runs/$1-$2-$3 more=() seconds
  [ ! -s "$out/seconds" ] || return 0
  rm -rf "$out"
  if grep -q "^| \`$2\` .*| drawn back from objects |" "$runs/table.md"; then
    objects "$1"
    more=(--set data.path="$runs/$1.csv")
  fi
  TIMEFORMAT=%U
  { time train "$1" "$2" "$3" "$out" "${more[@]}" 2>&3; } 3>&2 2>"$runs/time" || return 1
  seconds=$(cat "$runs/time")
  echo "$seconds" >"$out/seconds"
  echo "$1 $2 $3: JSD $(final "$out" jsd), $seconds s"
}

final() { # DIRECTORY COLUMN
  awk -F, -v c="$2" 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == c) k = i} {v = $k} END {print v}' "$1/metrics.csv"
}

report() {
  local out problem objective seed
  {
    cat "$runs/machine"
    echo 'objective,problem,seed,trajectories,jsd,seconds'
    for objective in "${objectives[@]}"; do
      for problem in $problems; do
        for out in "$runs/$problem-$objective"-[0-9]*; do
          [ -s "$out/seconds" ] || continue
          seed=${out##*-}
          echo "$objective,$problem,$seed,$(final "$out" trajectories),$(final "$out" jsd),$(cat "$out/seconds")"
        done
      done
    done
  } >"$docs/objectives/results.csv"
  tools/objectives_page.sh "$docs"
}

seeds=${1:-1 2 3 4 5}
if [ "$seeds" != report ]; then
  [ -s "$runs/machine" ] ||
    echo "# $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1), $(nproc) cores;" \
      "${OPENBLAS_CORETYPE:+OPENBLAS_CORETYPE=$OPENBLAS_CORETYPE; }$(date -u +%Y-%m-%d)" >"$runs/machine"
  for seed in $seeds; do
    for problem in $problems; do
      for objective in "${objectives[@]}"; do one "$problem" "$objective" "$seed"; done
    done
  done
fi
report
