#!/usr/bin/env bash
# `fluvial synth dag` and `fluvial structure` from outside: the shipped example, bad tables, constraints,
# odd names, resuming, a known graph, missing programs, 50 variables.
# usage: test_structure.sh [BINARY [SOURCE]]   (else FLUVIAL_BIN and FLUVIAL_SOURCE; under ctest they are set)
# shellcheck source=tests/cli_helpers.sh
. "$(dirname "$0")/cli_helpers.sh" || exit 1

lines() { [ "$(wc -l <"$1")" -eq "$2" ] || fail "$1 has $(wc -l <"$1") lines, expected $2"; }

iris=$source/examples/iris/iris.csv
tiny=(--iterations 20 --set batch=8 --set "policy.hidden=[16]" -n 50 --threads 2)

# ---- the shipped example
run 0 structure "$iris" "${tiny[@]}"
says 'training in runs/iris' err
says '20/20' err
for text in '150 rows, 4 variables' 'bge of standardised columns, prior uniform' '543, all enumerated' \
  'JSD to the posterior' 'petal_length -> petal_width: ' '; either direction 1.00' 'expected edges' \
  'most probable graph' 'runs/iris/report'; do
  says "$text"
done
for file in edges.csv paths.csv markov_blankets.csv edges.png edges.dat edges.gp graphs.csv graph.dot \
  samples.csv samples.npy summary.txt; do
  [ -s "runs/iris/report/$file" ] || fail "report/$file is missing"
done
[ -z "$(ls runs/iris/report | grep 'tmp$\|part$')" ] || fail "the report holds temporary files"
if command -v dot >/dev/null; then
  [ -s runs/iris/report/graph.png ] || fail "report/graph.png is missing"
fi
lines runs/iris/report/edges.csv 13
lines runs/iris/report/paths.csv 13
lines runs/iris/report/markov_blankets.csv 7
lines runs/iris/report/graphs.csv 101
lines runs/iris/report/samples.csv 51
# Exact whatever was learned: the sum over graphs of petal_length -> petal_width and back is that of its
# pair; a run of another seed has the same column.
run 0 structure "$iris" "${tiny[@]}" --seed 2 --quiet --out other
[ ! -s out ] && [ ! -s err ] || fail "structure --quiet printed something"
cmp -s <(cut -d, -f1-4 runs/iris/report/edges.csv) <(cut -d, -f1-4 other/report/edges.csv) ||
  fail "exact probabilities depend on the seed"
cmp -s runs/iris/report/edges.csv other/report/edges.csv && fail "another seed trained the same sampler"
cmp -s runs/iris/report/graphs.csv other/report/graphs.csv || fail "exact graphs depend on the seed"
run 0 structure "$iris" "${tiny[@]}" --quiet --out again --set reward.standardise=false
cmp -s <(cut -d, -f3 runs/iris/report/edges.csv) <(cut -d, -f3 again/report/edges.csv) &&
  fail "--set reward.standardise=false changed nothing"
# The run is one as any other.
run 0 train --resume runs/iris
run 0 eval runs/iris --objects runs/iris/report/samples.csv
says 'JSD'

# ---- an interrupted run goes on to the same bits; a finished one is reported on anew
long=("${tiny[@]}" --iterations 600 --set checkpoint_every=10 --quiet)
run 0 structure "$iris" "${long[@]}" --out whole
"$bin" structure "$iris" "${long[@]}" --out cut >out 2>err </dev/null &
pid=$!
for _ in $(seq 3000); do
  [ -s cut/checkpoint.safetensors ] && break
  sleep 0.01
done
kill -TERM $pid
wait $pid
code=$?
[ $code -eq 130 ] || [ $code -eq 0 ] || fail "an interrupted run gave $code"
[ $code -eq 0 ] || [ ! -d cut/report ] || fail "an interrupted run was reported on"
run 0 structure --resume cut -n 50 --quiet
for file in edges.csv paths.csv samples.csv samples.npy; do
  cmp -s "whole/report/$file" "cut/report/$file" || fail "resumed: another $file"
done
run 0 structure --resume whole -n 20 --threshold 0.9
lines whole/report/samples.csv 21
says 'have probability 0.9 or more'
says 'already trained to its end' err

# ---- constraints
run 0 structure "$iris" "${tiny[@]}" --out fixed --require 'petal_length>petal_width' \
  --forbid 'sepal_width -> petal_length' --forbid 'sepal_length>petal_length' --max-parents 1 --prior fair
grep -q '^petal_length,petal_width,1,' fixed/report/edges.csv || fail "a required edge is not certain"
grep -q '^sepal_width,petal_length,0,' fixed/report/edges.csv || fail "a forbidden edge is possible"
says 'at most 1'
says 'prior fair'
refuse 1 "did you mean 'petal_length'?" structure "$iris" --require 'petal_lenth>petal_width'
refuse 1 "did you mean 'sepal_width'?" structure "$iris" --forbid 'petal_width>sepal_widht'
refuse 1 'expected FROM>TO' structure "$iris" --require petal_length
refuse 1 'to itself' structure "$iris" --require 'petal_length>petal_length'
refuse 1 'cycle' structure "$iris" --require 'petal_length>petal_width' --require 'petal_width>petal_length'
refuse 1 'forbidden too' structure "$iris" --require 'petal_length>petal_width' --forbid 'petal_length>petal_width'

# ---- usage
run 0 structure --help
says 'usage: fluvial structure DATA.csv'
run 0 synth --help
says 'usage: fluvial synth dag'
refuse 2 'which DATA.csv?' structure
refuse 2 'one DATA.csv' structure a.csv b.csv
refuse 2 "--resume goes on" structure --resume other --score bge
refuse 1 "did you mean 'bge'?" structure "$iris" --score bgee
refuse 1 "did you mean 'uniform'?" structure "$iris" --prior unifrom
refuse 2 '--threshold' structure "$iris" --threshold 2
refuse 1 'holds a run already' structure "$iris" "${tiny[@]}" --out other --quiet
refuse 1 'nowhere' structure nowhere.csv
refuse 1 'nowhere' structure -q --resume nowhere
refuse 2 'which KIND?' synth
refuse 2 "there is no 'dog'" synth dog
refuse 1 'at most 10' synth dag -d 5 --edges 11

# ---- bad tables: one line, no directory
bad() { # bad TEXT CONTENTS: printf's format
  printf "$2" >bad.csv
  refuse 1 "$1" structure bad.csv --out made
  refuse 1 'bad.csv: ' structure bad.csv --out made
  rm bad.csv
}
rows='1,2,3\n4,5,7\n2,2,8\n9,1,1\n'
bad 'no missing ones' "a,b,c\n$rows,1,2\n"
bad 'no missing ones' "a,b,c\n${rows}NA,1,2\n"
bad 'finite' "a,b,c\n${rows}inf,1,2\n"
bad "found 'red'" "a,b,c\n${rows}red,1,2\n"
bad 'differ' "a,b,c\n1,1,3\n1,5,7\n1,2,8\n1,4,1\n"
bad 'a copy of column 1' "a,b,c\n1,1,3\n5,5,7\n2,2,8\n4,4,1\n"
bad '3 or more rows' 'a,b,c\n1,2,3\n4,5,7\n'
bad 'line 3' "a,b,c\n1,2,3\n4,5\n2,2,8\n9,1,1\n"
bad '' ''
bad 'a' "a,a,c\n$rows"
bad '64' "$(seq -s, 65 | sed 's/[0-9]*/v&/g')\n$(seq -s, 65)\n$(seq -s, 2 66)\n$(seq -s, 9 73)\n"
printf 'colour,size\nred,big\nblue,small\nred,small\nblue,big\ngreen,big\n' >cat.csv
refuse 1 '--score bdeu' structure cat.csv
run 0 structure cat.csv "${tiny[@]}" --score bdeu --out categories
says '3, all enumerated'

# ---- tables that are only odd: byte-order mark, CRLF, semicolons, quotes, names that other programs read
printf '\xef\xbb\xbf"a ""b"", c";"<b>&amp;";C'"'"'est>là;x->y {}|\\n;$d_1^2\r\n' >odd.csv
for i in 1 2 3 4 5 6 7 8 9; do
  echo "$i;$((i * i % 7));$((i * 5 % 11));$((i * 3 % 4)).5;$((i % 3))"
done | sed 's/$/\r/' >>odd.csv
run 0 structure odd.csv "${tiny[@]}" --out odd --require "C'est>là>x->y {}|\\n" --iterations 5
grep -qF '"a ""b"", c","<b>&amp;",' odd/report/edges.csv || fail "names are not quoted in edges.csv"
grep -qF "C'est>là,x->y {}|\\n,1,0,1" odd/report/edges.csv || fail "the required edge is not there"
grep -qF 'label="<b>&amp;amp;"' odd/report/graph.dot || fail "names are not quoted in graph.dot"
[ -s odd/report/edges.png ] || fail "gnuplot did not draw odd names"
if command -v dot >/dev/null; then
  [ -s odd/report/graph.png ] || fail "Graphviz did not draw odd names"
fi
[ ! -s err ] || grep -q warning err && fail "odd names gave a warning"

# ---- synthetic data with their truth
run 0 synth dag -d 4 --edges 3 -n 60 --seed 3 --out s4
lines s4/data.csv 61
lines s4/graph.csv 5
run 0 synth dag -d 4 --edges 3 -n 60 --seed 3 --out s4b
cmp -s s4/data.csv s4b/data.csv && cmp -s s4/graph.csv s4b/graph.csv || fail "a seed gave other bytes"
run 0 structure s4/data.csv "${tiny[@]}" --truth s4/graph.csv --score linear_gaussian --out known
for text in 'true graph' 'expected SHD' AUROC AUPRC; do
  says "$text"
done
cp out with_header
# Columns in another order, and no names at all.
awk -F, 'BEGIN{OFS=","}{print $1,$5,$4,$3,$2}' s4/graph.csv >turned.csv
run 0 structure --resume known --truth turned.csv -n 50
cmp -s <(grep -A4 'true graph' with_header) <(grep -A4 'true graph' out) || fail "turned columns: another truth"
tail -n +2 s4/graph.csv | cut -d, -f2- >bare.csv
run 0 structure --resume known --truth bare.csv -n 50
cmp -s <(grep -A4 'true graph' with_header) <(grep -A4 'true graph' out) || fail "bare matrix: another truth"
printf 'A,B,C,E\n0,0,0,0\n0,0,0,0\n0,0,0,0\n0,0,0,0\n' >unknown.csv
refuse 1 "'E' is no variable" structure s4/data.csv --truth unknown.csv --out made
printf '0,1,0,0\n1,0,0,0\n0,0,0,0\n0,0,0,0\n' >cycle.csv
refuse 1 'cycle' structure s4/data.csv --truth cycle.csv --out made
printf '0,1,0,0\n0,0,0,0\n' >short.csv
refuse 1 '2 rows for 4 variables' structure s4/data.csv --truth short.csv --out made

# ---- without gnuplot and Graphviz: a note each, and everything else
mkdir empty
PATH=$work/empty run 0 structure "$iris" "${tiny[@]}" --out blind
grep -q 'gnuplot-nox' err && grep -q 'apt install graphviz' err || fail "missing programs are not told of"
[ -s blind/report/summary.txt ] && [ -s blind/report/graph.dot ] || fail "missing programs cost the report"

# ---- a short run on 8 variables has left graphs without edges: its bound is near log R of a good graph
run 0 synth dag -d 8 --edges 8 -n 60 --seed 1 --out s8
run 0 structure s8/data.csv --iterations 500 --set batch=32 --set "policy.hidden=[64]" -n 50 --threads 2 --out eight
good=$(sed -n 's/^ *log_z: \([-0-9.]*\)$/\1/p' eight/config.yaml)
elbo=$(sed -n 's/^log evidence *at least \([-0-9.]*\) .*/\1/p' out)
awk -v g="$good" -v e="$elbo" 'BEGIN { exit !(g > 20 && e > 0.95 * g) }' ||
  fail "log R of a good graph is '$good', the lower bound on the evidence '$elbo'"

# ---- 50 variables
run 0 synth dag -d 50 --edges 40 -n 80 --seed 1 --out s50
run 0 structure s50/data.csv --iterations 4 --set batch=8 --set "policy.hidden=[16]" -n 40 --truth s50/graph.csv \
  --out large
for text in '80 rows, 50 variables' 'too many to enumerate' 'effective sample size' 'ELBO' 'not exact' AUROC; do
  says "$text"
done
lines large/report/edges.csv 2451

finish
