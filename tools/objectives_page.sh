#!/bin/sh
# Writes docs/objectives.md: the prose of docs/objectives/objectives.md.in with the tables made from the code (`fluvial list
# objectives --table`) and from docs/objectives/results.csv (tools/objectives_table.sh). tests/test_objectives_page.sh fails
# when the page is out of date.
#
#   tools/objectives_page.sh             docs/objectives.md, docs/objectives/jsd.dat, and jsd.png where gnuplot is
#   tools/objectives_page.sh DIRECTORY   the same there, from DIRECTORY/objectives/results.csv
#   tools/objectives_page.sh --check DIRECTORY   from the committed results (or from RESULTS), and no picture: to compare
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
fluvial=${FLUVIAL:-build/fluvial}
draw=yes
if [ "${1:-}" = --check ]; then
  draw=no
  shift
fi
to=${1:-docs}
results=$to/objectives/results.csv
[ $draw = yes ] || results=${RESULTS:-docs/objectives/results.csv}
mkdir -p "$to/objectives"
table=$to/objectives/table.tmp
"$fluvial" list objectives --table >"$table"

# The results in blocks of points, one for each problem: row, objective, seed, JSD.
awk -F, -v table="$table" '
  BEGIN {
    while ((getline line < table) > 0)
      if (split(line, part, "`") > 1 && line ~ /^[|] `/) order[++n] = part[2]
    np = split("grid8 grid16 faithful", problem, " ")
  }
  /^#/ || $1 == "objective" {next}
  {points[$1, $2] = points[$1, $2] "\n" $1 " " $3 " " $5}
  END {
    for (p = 1; p <= np; p++) {
      printf "%s# %s: row, objective, seed, exact JSD\n", (p > 1 ? "\n\n" : ""), problem[p]
      for (i = 1; i <= n; i++) {
        m = split(points[order[i], problem[p]], point, "\n")
        for (k = 2; k <= m; k++) printf "%d %s\n", i, point[k]
      }
    }
  }' "$results" >"$to/objectives/jsd.dat"

# Cells of the code's table are parted by " | "; a bar within one is "\|".
awk -v table="$table" -v results="$results" '
  function number(text) {return text + 0}
  function stats(values,   n, i, v, d) { # mean, sd (n - 1) of a list
    n = split(values, v, " ")
    mean = sd = 0
    for (i = 1; i <= n; i++) mean += v[i] / n
    for (i = 1; i <= n; i++) {d = v[i] - mean; sd += d * d}
    sd = n > 1 ? sqrt(sd / (n - 1)) : 0
  }
  function measured(values,   e, scale, s) { # "1.2e-5 ± 3e-6" as (1.2 ± 0.3)e-5
    if (values == "") return "–"
    stats(values)
    if (mean <= 0) return "0"
    e = sprintf("%.1e", mean)
    sub(/.*e/, "", e)
    scale = 10 ^ -number(e)
    s = sprintf(sd * scale < 0.1 ? "%.2f" : "%.1f", sd * scale)
    return sprintf("(%.1f ± %s)e%d", mean * scale, s, number(e))
  }
  function median(values,   n, i, j, t, v) {
    n = split(values, v, " ")
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && number(v[j - 1]) > number(v[j]); j--) {t = v[j]; v[j] = v[j - 1]; v[j - 1] = t}
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
  }
  function formulas(   i) {
    print "| objective | the loss, or what P_F follows | what P_B follows | options | source |"
    print "|---|---|---|---|---|"
    for (i = 1; i <= rows; i++)
      printf "| %s | %s | %s | %s | %s |\n", cell[i, 1], cell[i, 2], cell[i, 3], cell[i, 8], cell[i, 7]
  }
  function measurements(   i, p, name, k, times) {
    print "| objective | log Z | trajectories | also needs | JSD, `grid8` | JSD, `grid16` | JSD, `faithful` | time |"
    print "|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
      name = cell[i, 1]
      gsub(/`/, "", name)
      printf "| `%s` | %s | %s | %s", name, cell[i, 4], cell[i, 5], cell[i, 6]
      times = ""
      for (p = 1; p <= np; p++) {
        printf " | %s", measured(jsd[name, problem[p]])
        for (k = 1; k <= seeds; k++)
          if ((name, problem[p], seed[k]) in seconds && ("tb", problem[p], seed[k]) in seconds)
            times = times " " seconds[name, problem[p], seed[k]] / seconds["tb", problem[p], seed[k]]
      }
      printf " | %s |\n", times == "" ? "–" : sprintf("%.2f", median(times))
    }
  }
  function machine(   p, k, line, list, n) {
    printf "%s.", machine_line
    for (p = 1; p <= np; p++) {
      list = ""
      for (k = 1; k <= seeds; k++)
        if (("tb", problem[p], seed[k]) in seconds)
          list = list " " 1e6 * seconds["tb", problem[p], seed[k]] / trajectories
      if (list != "") line = line sprintf("%s%.1f ms on `%s`", line == "" ? "" : ", ", median(list), problem[p])
    }
    if (line != "") printf " `tb` took %s per 1000 trajectories.", line
    print ""
  }
  BEGIN {
    np = split("grid8 grid16 faithful", problem, " ")
    while ((getline line < table) > 0) {
      if (line !~ /^[|] `/) continue
      sub(/^[|] /, "", line)
      sub(/ [|]$/, "", line)
      rows++
      n = split(line, part, / [|] /)
      for (k = 1; k <= n; k++) cell[rows, k] = part[k]
    }
    while ((getline line < results) > 0) {
      if (line ~ /^# /) machine_line = substr(line, 3)
      if (line ~ /^#/ || line ~ /^objective,/ || split(line, part, ",") < 6) continue
      jsd[part[1], part[2]] = jsd[part[1], part[2]] " " part[5]
      seconds[part[1], part[2], part[3]] = part[6]
      trajectories = part[4]
      if (!(part[3] in known)) {known[part[3]] = 1; seed[++seeds] = part[3]}
    }
    print "<!-- Made by tools/objectives_page.sh from docs/objectives/objectives.md.in; do not edit. -->"
  }
  /^@formulas@$/ {formulas(); next}
  /^@measurements@$/ {measurements(); next}
  /^@machine@$/ {machine(); next}
  {print}' docs/objectives/objectives.md.in >"$to/objectives.md"
rm "$table"

if [ $draw = yes ] && command -v gnuplot >/dev/null; then
  cp -u docs/objectives/jsd.gp "$to/objectives/jsd.gp" 2>/dev/null || true
  (cd "$to/objectives" && LC_ALL=C.UTF-8 gnuplot jsd.gp)
fi
