#!/bin/sh
# Writes docs/paper/structure.md, its results and its figure from the runs of tools/paper_structure.sh (first
# argument: their folder). The results of runs that are not there any more stay in docs/paper/structure.csv.
set -eu
cd "$(dirname "$0")/.."
runs=$1
csv=docs/paper/structure.csv
doc=docs/paper/structure.md

# name,d,seed,trajectories,seconds,jsd,rmse of edge marginals; the last row of metrics.csv of finished runs.
collect() {
  for dir in "$runs"/d*-s*; do
    [ -f "$dir/report/edges.csv" ] || continue
    run=$(basename "$dir")
    d=${run%%-*} seed=${run##*-s} name=${run#*-}
    name=${name%-s*}
    end=$(awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == "jsd") k = i; next} {t = $2; v = $k} END {print t "," v}' \
      "$dir/metrics.csv")
    seconds=$(awk -F, 'END {print $2}' "$dir/timing.csv")
    rmse=$(awk -F, 'NR > 1 {e = $(NF-2) - $NF; s += e * e; n++} END {printf "%.6g", sqrt(s / n)}' "$dir/report/edges.csv")
    echo "$name,${d#d},$seed,${end%,*},$seconds,${end#*,},$rmse"
  done
}

mkdir -p docs/paper
{ collect; [ ! -f "$csv" ] || tail -n +2 "$csv"; } | sort -t, -k1,1 -k2,2n -k3,3n -u >"$csv.new"
{ echo "name,variables,seed,trajectories,seconds,jsd,edge_rmse"; cat "$csv.new"; } >"$csv"
rm "$csv.new"

cell() { # NAME D COLUMN: mean +- standard deviation (seeds)
  awk -F, -v name="$1" -v d="$2" -v c="$3" '$1 == name && $2 == d {n++; s += $c; q += $c * $c}
    END {if (!n) print "-"; else {m = s / n; v = n > 1 ? (q - n * m * m) / (n - 1) : 0
         if (n > 1) printf "%.2g ± %.1g (%d)", m, (v > 0 ? sqrt(v) : 0), n; else printf "%.2g (1)", m}}' "$csv"
}
row() { # LABEL NAME PAPER3 PAPER4 PAPER5
  echo "| $1 | $3 | $(cell "$2" 3 6) | $4 | $(cell "$2" 4 6) | $5 | $(cell "$2" 5 6) | $(cell "$2" 6 6) | \`$2.yaml\` |"
}
plain() { # LABEL NAME COLUMN
  echo "| $1 | $(cell "$2" 3 "$3") | $(cell "$2" 4 "$3") | $(cell "$2" 5 "$3") | $(cell "$2" 6 "$3") |"
}
each() { # COLUMN
  plain "modified DB" modified_db "$1"
  plain "off-policy TB" tb_off "$1"
  plain "on-policy TB" tb_on "$1"
  plain "on-policy reverse KL" reverse_kl_on "$1"
  plain "off-policy reverse KL, raw weights" reverse_kl_off_plain "$1"
  plain "off-policy reverse KL, self-normalised" reverse_kl_off_self_normalised "$1"
}

{
  cat tools/paper_structure_head.md.in
  echo
  echo "## Exact JSD to the posterior (Table 2)"
  echo
  echo "| objective | paper, 3 | ours, 3 | paper, 4 | ours, 4 | paper, 5 | ours, 5 | ours, 6 | configs/paper/structure/ |"
  echo "|---|---|---|---|---|---|---|---|---|"
  row "modified DB" modified_db 5.3e-6 2.1e-5 4.7e-4
  row "off-policy TB" tb_off 3.7e-7 9.4e-6 5.4e-4
  row "on-policy TB" tb_on 0.022 0.123 0.277
  row "on-policy reverse KL" reverse_kl_on 0.022 0.125 0.306
  row "off-policy reverse KL, raw weights" reverse_kl_off_plain 0.014 0.605 0.656
  row "off-policy reverse KL, self-normalised" reverse_kl_off_self_normalised - - -
  echo
  echo "## Edge marginals (Figure D.3)"
  echo
  echo "Root mean square error of P(i -> j), under the sampler against the posterior, over all ordered pairs."
  echo
  echo "| objective | 3 | 4 | 5 | 6 |"
  echo "|---|---|---|---|---|"
  each 7
  echo
  echo "![edge-marginal RMSE by number of variables](structure_rmse.png)"
  echo
  echo "## Seconds of a run, one thread"
  echo
  echo "| objective | 3 | 4 | 5 | 6 |"
  echo "|---|---|---|---|---|"
  each 5
} >"$doc.new"
mv "$doc.new" "$doc"
awk -F, 'NR > 1 {k = $1 " " $2; n[k]++; s[k] += $7; names[$1]}
  END {for (x in names) {print "# " x; for (d = 3; d <= 6; d++) if (n[x " " d]) print d, s[x " " d] / n[x " " d];
       print ""; print ""}}' "$csv" >docs/paper/structure_rmse.dat
cat >docs/paper/structure_rmse.gp <<'GP'
set terminal pngcairo size 900,520 font "sans,11"
set output "structure_rmse.png"
set logscale y
set format y "10^{%L}"
set xlabel "variables"
set ylabel "RMSE of edge marginals"
set xtics 1
set key outside right top noenhanced
set grid
stats "structure_rmse.dat" nooutput
names = system("sed -n 's/^# //p' structure_rmse.dat")
plot for [i=1:words(names)] "structure_rmse.dat" index i-1 using 1:2 with linespoints lw 2 pt 7 title word(names, i)
GP
(cd docs/paper && gnuplot structure_rmse.gp)
echo "$doc"
