#!/bin/sh
# Writes docs/paper/hypergrid.md and its figures from the runs of tools/paper_hypergrid.sh (first argument: their
# folder). The paper's numbers are digitised from its figures (mean of 5 seeds); ours are medians over seeds. Rows
# and curves of configurations that have no runs here stay as they are in the present page.
set -eu
cd "$(dirname "$0")/.."
fluvial=${FLUVIAL:-build/fluvial}
runs=$1
doc=docs/paper/hypergrid.md

# Final value of a metrics.csv column, for every seed of a configuration.
finals() { # NAME COLUMN
  for dir in "$runs/$1"-s*; do
    [ -f "$dir/metrics.csv" ] || continue
    awk -F, -v c="$2" 'NR==1 {for (i=1;i<=NF;i++) if ($i==c) k=i; next} {v=$k; t=$2} END {if (t+0 >= 1000000) print v}' \
      "$dir/metrics.csv"
  done
}
median() { sort -g | awk '{v[NR]=$1} END {if (NR) printf "%.2g", NR%2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
spread() { sort -g | awk 'NR==1 {a=$1} {b=$1} END {if (NR) printf "%.2g to %.2g (%d)", a, b, NR}'; }

row() { # LABEL NAME PAPER
  values=$(finals "$2" jsd)
  if [ -z "$values" ]; then
    grep -F "\`$2.yaml\`" "$doc" || true
    return 0
  fi
  middle=$(printf '%s\n' "$values" | median)
  modes=$(finals "$2" modes_found | median)
  verdict=$(awk -v a="$middle" -v b="$3" 'BEGIN {print a <= b ? "yes" : "no"}')
  echo "| $1 | $3 | $middle | $(printf '%s\n' "$values" | spread) | $modes | $verdict | \`$2.yaml\` |"
}
table() { echo "| curve | paper | ours, median | range (seeds) | modes | reached | configs/paper/hypergrid/ |"
          echo "|---|---|---|---|---|---|---|"; }
figure() { # PNG NAME...; the first seed of each
  png=$1; shift
  present= missing=
  for name in "$@"; do
    if [ -d "$runs/$name-s1" ]; then present="$present $runs/$name-s1"; else missing="$missing $name"; fi
  done
  if [ -z "$missing" ]; then
    # shellcheck disable=SC2086 -- a list of folders without spaces
    "$fluvial" plot $present --metric jsd --out "docs/paper/$png"
    return
  fi
  data=docs/paper/${png%.png}.dat
  scratch=$(mktemp -d)
  for dir in $present; do # its section of the data, in place of the old one
    "$fluvial" plot "$dir" --metric jsd --out "$scratch/one.png" >/dev/null
    awk -v new="$scratch/one.dat" -v title="# $(basename "$dir")" '
      /^#/ {skip = $0 == title; if (skip) while ((getline line < new) > 0) print line}
      !skip || /^$/' "$data" >"$scratch/all.dat"
    cp "$scratch/all.dat" "$data"
  done
  rm -r "$scratch"
  (cd docs/paper && gnuplot "${png%.png}.gp")
}

{
  cat tools/paper_hypergrid_head.md.in
  echo
  echo "## 128x128, R0 = 1e-3 (Figure 1)"
  echo
  table
  row "TB, on-policy" 128x128_tb_on 8.0e-4
  row "TB, off-policy" 128x128_tb_off 3.6e-4
  row "forward KL, on-policy" 128x128_forward_kl_on 4.2e-3
  row "forward KL, off-policy" 128x128_forward_kl_off 4.3e-3
  row "wake-sleep, on-policy" 128x128_wake_sleep_on 4.6e-2
  row "wake-sleep, off-policy" 128x128_wake_sleep_off 5.8e-3
  row "reverse wake-sleep, on-policy" 128x128_reverse_wake_sleep_on 9.9e-2
  row "reverse wake-sleep, off-policy" 128x128_reverse_wake_sleep_off 2.5e-3
  row "reverse KL, on-policy" 128x128_reverse_kl_on 0.295
  row "reverse KL, off-policy" 128x128_reverse_kl_off 0.219
  echo
  echo "![exact JSD over trajectories, one seed each](hypergrid_128.png)"
  for grid in "8x8x8x8 1.0e-5 1.5e-5 4.0e-4 4.9e-4 5e-6" "64x64 2.5e-6 1.5e-5 6.8e-4 7.4e-4 2e-6"; do
    # shellcheck disable=SC2086 -- six words
    set -- $grid
    echo
    echo "## $1, R0 = 0.1, on-policy (Figure D.2)"
    echo
    table
    row "TB" "$1_tb_on" "$2"
    row "reverse KL" "$1_reverse_kl_on" "$3"
    row "forward KL" "$1_forward_kl_on" "$4"
    row "wake-sleep" "$1_wake_sleep_on" "$5"
    row "reverse wake-sleep" "$1_reverse_wake_sleep_on" "$6"
  done
} > "$doc.new"
mv "$doc.new" "$doc"
figure hypergrid_128.png 128x128_tb_on 128x128_tb_off 128x128_forward_kl_on 128x128_wake_sleep_off \
  128x128_reverse_wake_sleep_off 128x128_reverse_kl_on
echo "$doc"
