#!/usr/bin/env bash
# A run whose reward is a program: it stops with one line when the program does, keeps its last checkpoint, and
# goes on to what it would have been; several seeds share the program; and the example's configuration.
# usage: test_molecule_program.sh [BINARY [SOURCE]]
# shellcheck source=tests/cli_helpers.sh
. "$(dirname "$0")/cli_helpers.sh" || exit 1

cat >run.yaml <<END
iterations: 24
batch: 4
eval_every: 8
eval_samples: 100
checkpoint_every: 4
env: {name: fragments, path: $source/examples/molecules/fragments.json, max_blocks: 4}
reward: {name: molecule_program, command: sh answer.sh, restarts: 1}
policy: {name: mlp, hidden: [8]}
objective: tb
END

# Letters of the SMILES; without a licence it ends at the line that the file `lines` says.
cat >answer.sh <<'END'
i=0
while read -r s; do
  i=$((i + 1))
  if [ -e lines ] && [ $i -gt "$(cat lines)" ]; then
    echo 'begun well' >&2
    echo 'no licence' >&2
    exit 4
  fi
  echo ${#s}
done
END

run 0 train run.yaml --out whole --quiet
[ "$(wc -l <whole/metrics.csv)" -eq 4 ] || fail 'expected three evaluations'

# ---- the program ends for good: after 20 lines, and then at once
echo 20 >lines
cat >stop.sh <<'END'
sh answer.sh
code=$?
echo 0 >lines
exit $code
END
run 1 train run.yaml --set reward.command='sh stop.sh' --out parts --quiet
[ "$(wc -l <err)" -eq 1 ] || fail 'expected one line on standard error'
says "the program 'sh stop.sh' ended with exit status 4 before it answered " err
says ', and again after 1 restart; its last message: no licence' err
says '; its last message: no licence; the checkpoint of iteration 4 in parts is kept' err
grep -Eq '^fluvial: iteration [0-9]+: ' err || fail 'expected the iteration'
run 1 train --resume parts --quiet # it is still gone
says 'no licence; the checkpoint of iteration ' err
rm lines
run 0 train --resume parts --quiet
cmp -s whole/metrics.csv parts/metrics.csv || fail 'the run that was stopped differs from the one that was not'
[ "$(ls -A parts)" = "$(ls -A whole)" ] || fail 'something was left behind'

# ---- answers that are wrong from some molecule on; mended, the run becomes what it would have been
cat >wrong.sh <<'END'
i=0
while read -r s; do
  i=$((i + 1))
  [ $i -le 30 ] || eval "$(cat fault)"
  echo ${#s}
done
END
while IFS='|' read -r fault text; do
  echo "$fault" >fault
  rm -rf faulty
  run 1 train run.yaml --set reward.command='sh wrong.sh' --set reward.timeout_s=0.5 --set reward.restarts=0 \
    --set checkpoint_every=1 --out faulty --quiet
  [ "$(wc -l <err)" -eq 1 ] || fail "$fault: expected one line on standard error"
  says "$text" err
  says ' in faulty is kept' err
  echo : >fault
  run 0 train --resume faulty --quiet
  cmp -s whole/metrics.csv faulty/metrics.csv || fail "$fault: the run that went on differs"
done <<'END'
echo nan; continue|nan for
echo -1; continue|-1 for
echo inf; continue|inf for
echo nonsense; continue|answered 'nonsense' to
continue|gave no answer to
exec >&-; sleep 100|gave no answer to
sleep 100|gave no answer to
printf 3; sleep 100|it wrote '3' without an end of line
kill -9 $$|ended
exit 0|ended with exit status 0
END
echo : >fault
rm -f lines
sed 's/echo ${#s}/echo ${#s}; [ -e once ] || echo 1/' answer.sh >twice.sh
run 1 train run.yaml --set reward.command='sh twice.sh' --set checkpoint_every=1 --out twice --quiet
says "wrote '1', a line that it was not asked for" err
says 'the checkpoint of iteration 0 in twice is kept' err
: >once
run 0 train --resume twice --quiet
cmp -s whole/metrics.csv twice/metrics.csv || fail 'the run whose program answered twice differs'

# ---- interrupted while the program computes: soon over, nothing left running
alive() { [ -d "/proc/$1" ] && ! grep -q ') Z ' "/proc/$1/stat"; }
cat >hang.sh <<'END'
i=0
while read -r s; do
  i=$((i + 1))
  if [ -e hang ] && [ $i -gt 30 ]; then
    echo $$ >hanging
    sleep 1000
  fi
  echo ${#s}
done
END
# begin_hanging ARGUMENTS...: leaves the command in the background, as $child, and its program, which hangs, as $program
begin_hanging() {
  rm -f hanging
  : >hang
  "$bin" "$@" >out 2>err </dev/null &
  child=$!
  for _ in $(seq 400); do
    [ ! -s hanging ] || break
    sleep 0.05
  done
  program=$(cat hanging)
}
for signal in TERM KILL; do
  rm -rf hung
  begin_hanging train run.yaml --set reward.command='sh hang.sh' --set reward.timeout_s=600 --out hung --quiet
  kill -$signal $child
  wait $child 2>/dev/null
  code=$?
  for _ in $(seq 100); do
    alive "$program" || break
    sleep 0.1
  done
  ! alive "$program" || { fail "$signal: the program was left behind"; kill -9 "$program"; }
  if [ $signal = TERM ]; then
    [ $code -eq 130 ] || fail "stopped with exit code $code, expected 130"
    [ "$(wc -l <err)" -eq 1 ] || fail 'expected one line on standard error'
    says 'fluvial: stopped at iteration ' err
    says ' of 24; go on with --resume hung' err
  fi
  rm -f hang
  run 0 train --resume hung --quiet
  cmp -s whole/metrics.csv hung/metrics.csv || fail "$signal: the run that was interrupted differs"
done

# ---- it is gone when a finished run is looked at
echo 0 >lines
for verb in eval sample; do
  run 1 "$verb" whole
  [ "$(wc -l <err)" -eq 1 ] || fail "$verb: expected one line on standard error"
  says 'its last message: no licence' err
done
rm lines
run 0 eval whole --samples 200
run 0 sample whole -n 20 --out drawn.csv

# ---- several seeds ask one program; each run is what it would be alone
run 0 train run.yaml --seeds 1,2 --out seeds --threads 2 --quiet
cmp -s whole/metrics.csv seeds/seed-1/metrics.csv || fail 'seed 1 differs from the run alone'

# ---- wrong answers and settings
refuse 1 'reward.command' train run.yaml --set reward.command= --out none --quiet
run 1 train run.yaml --set reward.command='yes no' --set reward.restarts=0 --out nonsense --quiet
grep -Eq "answered 'no' to|not asked for" err || fail 'expected to be told of the nonsense'
run 1 train run.yaml --set reward.command='sleep 60' --set reward.timeout_s=0.2 --out hangs --quiet
says "the program 'sleep 60' gave no answer to " err

# ---- the example, as its configuration has it
cd "$source" || exit 1
"$bin" train configs/molecules.yaml --set iterations=10 --set eval_every=10 --set eval_samples=100 \
  --out "$work/example" --quiet >"$work/out" 2>"$work/err" </dev/null
code=$?
cd "$work" || exit 1
[ "$code" -eq 0 ] || fail 'configs/molecules.yaml'
finish
