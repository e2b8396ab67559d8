#!/usr/bin/env bash
# The command from outside: help, errors, exit codes, and one small run through every verb.
# usage: test_cli.sh [BINARY [SOURCE]]   (else FLUVIAL_BIN and FLUVIAL_SOURCE; under ctest they are set)
# shellcheck source=tests/cli_helpers.sh
. "$(dirname "$0")/cli_helpers.sh" || exit 1

cat >tiny.yaml <<'END'
iterations: 30
batch: 4
eval_every: 10
checkpoint_every: 10
env: {name: hypergrid, dim: 2, side: 4}
policy: {name: mlp, hidden: [8]}
objective: tb
END

# ---- help
run 0 --help
for verb in train eval sample best plot gradients estimators structure synth list; do
  says "  $verb "
done
run 0 --version
grep -Eq '^fluvial [0-9]+\.[0-9]+\.[0-9]+$' out || fail "--version"
run 2
says 'usage: fluvial' err
for verb in train eval sample best plot gradients estimators structure synth list; do
  run 0 "$verb" --help
  says "usage: fluvial $verb"
  says '-h, --help'
  cp out "help_$verb"
  run 0 help "$verb"
  cmp -s out "help_$verb" || fail "help $verb differs from $verb --help"
done
for word in iterations=15625 hypergrid: r0= wake_sleep epsilon= lr_log_z= milestones=; do
  says "$word" help_train
done

# ---- list
run 0 list
for word in hypergrid graph corners cosine table values mlp tb db modified_db subtb fl_db fl_subtb \
  log_variance contrastive_balance flow_matching soft_dqn reverse_kl forward_kl wake_sleep \
  reverse_wake_sleep mixed_kl symmetric_cycles renyi tsallis mle fifo prioritised terminal \
  objects back_and_forth adam adamw sgd plateau; do
  says "  $word "
done
run 0 list rewards corners
says 'reward.r0 = '
says 'number, '
run 0 list env
says 'env.side = '
run 0 list train
says 'seed = 1'
run 0 list objectives mle
for word in 'P_F follows: ' 'P_B follows: ' 'log Z: none' 'trajectories: drawn back from objects' 'source: Zhang'; do says "$word"; done
run 0 list objectives --table
says '| `tb` | mean of (log Z + c)^2 | the same | needed | any | – |'
refuse 2 '--table is for objectives' list rewards --table
refuse 2 '--table is for objectives' list --table
run 0 list --markdown
says '## reward'
cmp -s out "$source/docs/configuration.md" ||
  fail "docs/configuration.md is out of date: fluvial list --markdown > docs/configuration.md"

# ---- wrong usage
refuse 2 "did you mean 'train'?" trian
refuse 2 "unknown verb 'xyzzy'" xyzzy
refuse 2 "did you mean '--version'?" --versoin
refuse 2 'did you mean --threads?' train tiny.yaml --theads 2
refuse 2 'unknown option -Z' eval -Z
refuse 2 '--out needs a value' train tiny.yaml --out
refuse 2 '--quiet takes no value' train tiny.yaml --quiet=1
refuse 2 'which CONFIG.yaml?' train
refuse 2 'one CONFIG.yaml' train tiny.yaml tiny.yaml
refuse 2 'expected KEY=VALUE' train tiny.yaml --set seed
refuse 2 '--resume goes on' train tiny.yaml --resume runs/x
refuse 2 '--resume goes on' train --seeds 2 --resume runs/x
refuse 2 '--seeds 0: expected a whole number from 1 to 256' train tiny.yaml --seeds 0
refuse 2 '--seeds many: expected a whole number' train tiny.yaml --seeds many
refuse 2 '--seeds -3: expected a whole number from 0' train tiny.yaml --seeds 1,-3
refuse 2 '--seeds : expected a whole number' train tiny.yaml --seeds 1,,2
refuse 2 '--seeds: 4 is there twice' train tiny.yaml --seeds 4,5,4
refuse 2 '--seeds needs a value' train tiny.yaml --seeds
refuse 2 'expected a whole number from 0 to 1024' train tiny.yaml --threads many
refuse 2 'expected a whole number' sample runs/x -n -3
refuse 2 'expected a whole number' sample runs/x -n 1.5
refuse 2 'which RUN' eval
refuse 2 'expected a whole number from 1' eval runs/x --samples 0
refuse 2 'expected a number from 1e-09' eval runs/x --bandwidth wide
refuse 2 'expected a whole number' eval runs/x --backward 1.5
refuse 2 'expected a number, a .csv or .npy file' eval runs/x --objects mine
refuse 2 'from 2 to' eval runs/x --objects 1
refuse 2 '--backward does not go with --molecules' eval runs/x --molecules m.tsv --backward 3
refuse 2 '--out is for --molecules' eval runs/x --out scores.csv
refuse 2 'which RUN' plot
refuse 2 'which CONFIG.yaml?' estimators
refuse 2 '--batch many: expected a whole number' estimators tiny.yaml --batch 16,many
refuse 2 'expected logits or parameters' estimators tiny.yaml --space weights
refuse 2 'expected a whole number from 2' estimators tiny.yaml --repeats 1
refuse 1 "there is no 'tbb'" estimators tiny.yaml --objectives tbb
refuse 1 'expected on_policy, epsilon=E' estimators tiny.yaml --behaviours epsilon
refuse 2 "did you mean 'reward'?" list rewrad
refuse 2 "did you mean 'corners'?" list reward corner
refuse 2 "unexpected 'c'" list a b c
refuse 2 'side' train tiny.yaml --set env.sid=8
refuse 2 'side' train tiny.yaml --set env.side=-8

# ---- files that are not there or not right
refuse 1 'none.yaml' train none.yaml
printf 'env: {name: hypergrid, sid: 8}\n' >bad.yaml
refuse 1 'bad.yaml:1' train bad.yaml
says 'side' err
printf 'env: [\n' >broken.yaml
refuse 1 'broken.yaml:' train broken.yaml
refuse 1 'nowhere' eval nowhere
refuse 1 'nowhere' sample nowhere
refuse 1 'nowhere' plot nowhere
refuse 1 'nowhere' train -q --resume nowhere
[ ! -e runs ] || fail "a failed command made runs/"

# ---- one small run through every verb
run 0 train tiny.yaml
for word in 'run ' 'runs/tiny' 'exactly, over all 16 objects' 'log Z true' JSD 'total variation' 'KL(target || sampler)' \
  'KL(sampler || target)' 'trajectories            120' 'runs/tiny/plots/curves.png' 'runs/tiny/plots/learned.png'; do
  says "$word"
done
says 'training in runs/tiny' err
says '30/30' err
for file in config.yaml metrics.csv timing.csv checkpoint.safetensors plots/curves.png plots/learned.png; do
  [ -s "runs/tiny/$file" ] || fail "runs/tiny/$file is missing"
done
run 0 train tiny.yaml --quiet --set seed=2
[ ! -s out ] && [ ! -s err ] || fail "--quiet printed something"
[ -d runs/tiny-2 ] || fail "the second run is not in runs/tiny-2"
refuse 1 'runs/tiny' train -q tiny.yaml --out runs/tiny
run 0 train tiny.yaml --out 'a folder/with a "quote"' --threads 1
says 'a folder/with a "quote"/plots/curves.png'
cmp -s runs/tiny/metrics.csv 'a folder/with a "quote"/metrics.csv' || fail "the threads changed metrics.csv"

# ---- several seeds: each is as it would be alone, pictures and all
run 0 train tiny.yaml --seeds 3 --set seed=2 --out both/seeds --threads 2
for word in '3 in both/seeds, 3 trained to the end' 'exactly, over all 16 objects' 'learned - true          median ' \
  'JSD                     median ' 'trajectories            360' 'both/seeds/summary.csv' 'both/seeds/seeds.png'; do
  says "$word"
done
says 'training 3 seeds in both/seeds' err
says '90/90' err
for seed in 2 3 4; do
  run 0 train tiny.yaml -q --set seed=$seed --out both/alone/seed-$seed
  for file in config.yaml metrics.csv plots/curves.png plots/curves.dat plots/learned.png plots/learned.dat; do
    cmp -s both/alone/seed-$seed/$file both/seeds/seed-$seed/$file || fail "--seeds changed seed-$seed/$file"
  done
done
for file in seeds.png seeds.dat seeds.gp; do
  [ -s both/seeds/$file ] || fail "both/seeds/$file is missing"
done
[ "$(wc -l <both/seeds/summary.csv)" -eq 4 ] || fail "summary.csv: not 4 lines"
run 0 train -q tiny.yaml --seeds 9,1 --out listed
[ ! -s out ] && [ ! -s err ] || fail "--seeds --quiet printed something"
[ -d listed/seed-9 ] && [ -d listed/seed-1 ] || fail "--seeds 9,1 made others"
cp listed/seed-9/metrics.csv before
run 0 train --resume listed
says 'going on with the runs in listed' err
cmp -s before listed/seed-9/metrics.csv || fail "a finished run was changed by --resume"
refuse 1 'listed: holds a run already' train -q tiny.yaml --seeds 2 --out listed
refuse 1 'listed: holds the runs of several seeds' eval listed
run 1 train tiny.yaml --seeds 2 --out wild --set iterations=3000 --set optimiser=sgd --set optimiser.lr_log_z=100
says 'fluvial: 2 of 2 runs failed: seed 1: iteration' err
says '0 trained to the end'

run 0 eval runs/tiny --samples 5000
says 'exactly, over all 16 objects'
for word in JSD 'ELBO  ' 'EUBO  ' 'log Z, IW' 'effective sample size' 'best 16' 'drawn from the target' \
  'Pearson(log p, log R)' 'MMD^2' 'exact'; do
  says "$word"
done
cp out first
run 0 eval runs/tiny --samples 5000 --threads 1
cmp -s out first || fail "the threads changed an evaluation"
run 0 eval runs/tiny -n 2000 -o 100 -b 10 --json --csv measures.csv
if command -v python3 >/dev/null; then
  python3 -c 'import json; d = json.load(open("out")); assert d["exact"] is True and d["n"] == 16 and 0 <= d["jsd"] < 1
assert d["elbo"]["value"] <= d["log_z_true"] + 4 * d["elbo"]["error"] and d["elbo"]["exact"] is None
assert abs(d["log_z_iw"]["exact"] - d["log_z_true"]) < 1e-12
assert d["source"] == "target" and d["objects"] == 100 and d["backward"] == 10' ||
    fail "eval --json"
  python3 -c 'import csv, json; d = json.load(open("out")); r = {x["name"]: x for x in csv.DictReader(open("measures.csv"))}
assert abs(float(r["eubo"]["value"]) - d["eubo"]["value"]) < 1e-8 and r["eubo"]["exact"] == "" == r["ess"]["error"]
assert r["jsd"]["exact"] == r["jsd"]["value"] and float(r["objects"]["value"]) == 100' || fail "eval --csv"
fi
run 1 eval runs/tiny -n 100 -o 10 -b 1 --csv no/such.csv
says 'no/such.csv: cannot be written' err
refuse 1 'the replay buffer is empty' eval runs/tiny -n 100 -o replay
run 0 eval runs/tiny -n 100 -o sampler
says '100 of the sampler itself'
says 'unknown: it takes objects that follow the target'
run 0 sample runs/tiny -n 5
[ "$(wc -l <out)" -eq 6 ] || fail "sample -n 5: not 6 lines"
says 'log_r'
cp out first
run 0 sample -n 5 runs/tiny --stream 0
cmp -s out first || fail "the same stream gave other objects"
run 0 sample runs/tiny -n 1e2 --out s.npy
[ "$(head -c 6 s.npy | tail -c 5)" = NUMPY ] || fail "s.npy is no npy file"
run 0 sample runs/tiny -n 7 --out s.csv
[ "$(wc -l <s.csv)" -eq 8 ] || fail "s.csv: not 8 lines"
refuse 1 's.txt' sample runs/tiny --out s.txt
for file in s.csv s.npy; do
  run 0 eval runs/tiny -n 500 --objects $file --backward 20
  says "of $file, taken for draws from the target"
done
says 'objects                 100 of s.npy'
printf 'x0,x1\n1,2\n4,0\n' >outside.csv
refuse 1 'outside.csv: row 2, column 1: 4 is not a whole number from 0 to 3' eval runs/tiny --objects outside.csv
printf '1,2,3,4\n1,2,3,4\n' >wide.csv
refuse 1 'wide.csv: 4 numbers in a row' eval runs/tiny --objects wide.csv
refuse 1 'missing.csv' eval runs/tiny --objects missing.csv
refuse 1 'missing.tsv' eval runs/tiny --molecules missing.tsv
printf 'blocks\tjbonds\n0\t\n' >mine.tsv
refuse 1 "mine.tsv: molecules are read for environment 'fragments', not 'hypergrid'" eval runs/tiny --molecules mine.tsv --out scores.csv

refuse 1 "runs/tiny: objects of environment 'hypergrid' have no texts" best runs/tiny
refuse 2 '--similarity 2: expected a number from 0 to 1' best runs/tiny --similarity 2
refuse 2 'which RUN' best

run 0 plot runs/tiny runs/tiny-2 --metric tv --out both.png
[ "$(cat out)" = both.png ] && [ -s both.png ] && [ -s both.gp ] && [ -s both.dat ] || fail "plot of two runs"
run 0 plot runs/tiny
says 'runs/tiny/plots/learned.png'
refuse 1 'nothing' plot runs/tiny --metric nothing

# ---- gradient estimators
run 0 estimators tiny.yaml --at 0,20 --batch 8 --large 32 --repeats 2 --behaviours on_policy,epsilon=0.2,replay=10 \
  --out lab/a
for word in 'signal to noise' 'batch 8, iteration 20, with respect to logits' 'true gradients exact' \
  'self_normalised, optimal' 'lab/a/estimators.csv (' 'lab/a/epsilon.png' 'lab/a/replay.png'; do
  says "$word"
done
for file in estimators.csv epsilon.png epsilon.gp epsilon.dat replay.png; do
  [ -s "lab/a/$file" ] || fail "lab/a/$file is missing"
done
if command -v python3 >/dev/null; then
  python3 -c 'import csv; r = list(csv.DictReader(open("lab/a/estimators.csv")))
at = lambda **k: [x for x in r if all(x[n] == v for n, v in k.items())]
assert not at(iteration="0", behaviour="replay=10") and at(iteration="20", behaviour="replay=10")
a, = at(iteration="20", objective="tb:loss=half_squared", policy="P_F", behaviour="on_policy")
b, = at(iteration="20", objective="reverse_kl", weights="plain", baseline="global", policy="P_F", behaviour="on_policy")
assert a["method"] == b["method"] == "exact" and a["trace"] == b["trace"] and float(a["bias"]) < 1e-10
assert float(b["off_policy"]) == 0 and a["scalar"] == ""' || fail "estimators.csv"
fi
run 0 estimators tiny.yaml -q --at 5 --batch 4 --large 8 --repeats 2 --behaviours exit_bias=1 --objectives tb \
  --space parameters --csv rows.csv --threads 1
[ ! -s out ] && [ ! -s err ] || fail "estimators --quiet printed something"
[ -s rows.csv ] && [ -s estimators/tiny/estimators.png ] || fail "estimators: rows.csv or the picture is missing"
run 1 estimators tiny.yaml -q --at 0 --large 8 --batch 4 --repeats 2 --behaviours on_policy --objectives tb --csv no/such.csv
says 'no/such.csv: cannot be written' err

# Without gnuplot training succeeds, with a warning, and plot fails; both keep data and script.
mkdir empty
PATH_BEFORE=$PATH
PATH=$work/empty
run 0 train tiny.yaml --out undrawn
run 1 plot undrawn
PATH=$PATH_BEFORE
says 'gnuplot-nox' err
[ ! -e undrawn/plots/curves.png ] && [ -s undrawn/plots/curves.gp ] || fail "without gnuplot"

# A full disk under standard output is an error.
if [ -w /dev/full ]; then
  "$bin" list >/dev/full 2>err && fail "list > /dev/full succeeded"
  says 'standard output' err
fi

# ---- stopped, resumed, in use
sed 's/^iterations: .*/iterations: 1000000000/' tiny.yaml >endless.yaml
"$bin" train endless.yaml --out stopped >out 2>err &
pid=$!
for _ in $(seq 300); do
  grep -q '/1,000,000,000' err && break # its first line of progress
  sleep 0.1
done
kill -TERM $pid
wait $pid
[ $? -eq 130 ] || fail "SIGTERM: the exit code is not 130"
grep -q '^fluvial: stopped at iteration .*--resume stopped' err || fail "a stopped run does not say how to go on"
[ -s stopped/checkpoint.safetensors ] || fail "a stopped run has no checkpoint"
run 0 train --resume runs/tiny
says 'already trained' err
"$bin" train --resume stopped >out 2>err &
pid=$!
for _ in $(seq 300); do
  grep -q '/1,000,000,000' err && break
  sleep 0.1
done
second=$("$bin" train -q --resume stopped 2>&1)
[ $? -eq 1 ] || fail "a second process was let in"
case $second in 'fluvial: '*'already in use'*) ;; *) fail "a second process was told '$second'" ;; esac
kill -INT $pid
wait $pid
[ $? -eq 130 ] || fail "SIGINT: the exit code is not 130"

"$bin" train endless.yaml --seeds 3 --threads 2 --out stopped_seeds >out 2>err &
pid=$!
for _ in $(seq 300); do
  grep -q '/3,000,000,000' err && break
  sleep 0.1
done
kill -INT $pid
wait $pid
[ $? -eq 130 ] || fail "SIGINT with --seeds: the exit code is not 130"
grep -q '^fluvial: stopped at iteration .* of 3,*000.*--resume stopped_seeds' err || fail "stopped seeds do not say how to go on"
for seed in 1 2 3; do
  run 0 sample stopped_seeds/seed-$seed -n 1
done

# ---- kernels of the matrix products: OpenBLAS names the ones it takes, and the last is what runs
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
  env -u OPENBLAS_CORETYPE OPENBLAS_VERBOSE=2 "$bin" --version >out 2>err
  core=$(sed -n 's/^Core: *//p' out err | tail -1)
  case $core in Prescott | Core2 | Nehalem | Generic) fail "the processor has AVX2, and OpenBLAS runs $core" ;; esac
  OPENBLAS_CORETYPE=Prescott OPENBLAS_VERBOSE=2 "$bin" --version >out 2>err
  core=$(sed -n 's/^Core: *//p' out err | sort -u | tr '\n' ' ')
  case $core in '' | 'Prescott ') ;; *) fail "OPENBLAS_CORETYPE is set, and OpenBLAS runs $core" ;; esac
fi

finish
