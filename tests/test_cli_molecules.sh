#!/usr/bin/env bash
# Molecules from outside: training reports what it found, as SMILES.
# usage: test_cli_molecules.sh [BINARY [SOURCE]]   (else FLUVIAL_BIN and FLUVIAL_SOURCE; under ctest they are set)
# shellcheck source=tests/cli_helpers.sh
. "$(dirname "$0")/cli_helpers.sh" || exit 1

if ! command -v python3 >/dev/null; then
  echo 'skipped: there is no python3 to write weights with'
  exit 0
fi

# A reward network of random weights whose predictions lie around 3.
python3 - <<'END'
import json, random, struct
random.seed(1)
d, f, e, a = 8, 71, 8, 4
shapes = {'lin0.weight': [d, f], 'lin0.bias': [d], 'conv.root': [d, d], 'conv.bias': [d], 'conv.nn.0.weight': [e, a],
          'conv.nn.0.bias': [e], 'conv.nn.2.weight': [d * d, e], 'conv.nn.2.bias': [d * d],
          'gru.weight_ih_l0': [3 * d, d], 'gru.weight_hh_l0': [3 * d, d], 'gru.bias_ih_l0': [3 * d],
          'gru.bias_hh_l0': [3 * d], 'set2set.lstm.weight_ih_l0': [4 * d, 2 * d],
          'set2set.lstm.weight_hh_l0': [4 * d, d], 'set2set.lstm.bias_ih_l0': [4 * d],
          'set2set.lstm.bias_hh_l0': [4 * d], 'lin3.weight': [1, 2 * d], 'lin3.bias': [1]}
header, data = {}, b''
for name, shape in shapes.items():
    n = shape[0] * (shape[1] if len(shape) > 1 else 1)
    values = [3.0] if name == 'lin3.bias' else [random.uniform(-0.7, 0.7) for _ in range(n)]
    header[name] = {'dtype': 'F32', 'shape': shape, 'data_offsets': [len(data), len(data) + 4 * n]}
    data += struct.pack(f'<{n}f', *values)
text = json.dumps(header).encode()
text += b' ' * (-len(text) % 8)
open('weights.safetensors', 'wb').write(struct.pack('<Q', len(text)) + text + data)
END
cat >mol.yaml <<END
iterations: 40
batch: 8
eval_every: 20
eval_samples: 100
checkpoint_every: 20
env: {name: fragments, path: "$source/examples/molecules/fragments.json", max_blocks: 3}
reward: {name: molecule_network, path: weights.safetensors, steps: 2, norm: 2, r_min: 0.01}
policy: {name: mlp, hidden: [8]}
objective: tb
archive: {modes_above: 0.5, similarity: 0.6, best: 10}
END

run 0 train mol.yaml
for word in 'distinct objects found  ' 'best reward             ' 'reward of at least      0.5: ' ' modes (similarity below 0.6)' \
  'runs/mol/best.csv (10)' 'runs/mol/diverse.csv ('; do
  says "$word"
done
says ' objects, ' err
says ' modes' err
says 'reward ' err
for file in objects best diverse; do
  [ -s runs/mol/$file.csv ] || fail "runs/mol/$file.csv is missing"
done
[ "$(wc -l <runs/mol/best.csv)" -eq 11 ] || fail 'best.csv: not 11 lines'
head -1 runs/mol/best.csv >line
says 'smiles,log_r,reward,iteration' line
head -1 runs/mol/metrics.csv >line
says ',objects,above,modes,best_log_r,reward_10,reward_50,reward_90' line
awk -F, 'NR > 2 && $2 > last { exit 1 } { last = $2 }' runs/mol/best.csv || fail 'best.csv: not from the best down'
[ "$(cut -d, -f5 runs/mol/objects.csv | sort -u | wc -l)" -gt 50 ] || fail 'objects.csv: hardly any objects'

cp runs/mol/diverse.csv before.csv
run 0 best runs/mol
says 'diverse.csv ('
cmp -s before.csv runs/mol/diverse.csv || fail 'best without options made another diverse.csv'
run 0 best runs/mol -n 3 --above 0 --similarity 0.2
says 'best.csv (3)'
says 'reward of at least      0: '
awk -F, 'NR > 1 && $5 >= 0.2 { exit 1 }' runs/mol/diverse.csv || fail 'diverse.csv: two are alike'

run 0 sample runs/mol -n 5
head -1 out >line
says 'smiles,log_r,reward' line
[ "$(wc -l <out)" -eq 6 ] || fail 'sample -n 5: not 6 lines'
run 0 sample runs/mol -n 200 --out some.npy
run 0 eval runs/mol -n 100 --objects some.npy --backward 2
says 'of some.npy, taken for draws from the target'

run 0 train mol.yaml --seeds 2 --out two -q
run 0 train --resume two
says 'distinct objects found  median '
says 'modes of these          median '
[ -s two/seed-1/diverse.csv ] && [ -s two/seed-2/best.csv ] || fail 'seeds without best.csv or diverse.csv'
grep -q ',modes_median,modes_low,modes_high,' two/summary.csv || fail 'summary.csv without modes'
run 0 plot runs/mol --metric modes --out modes.png
refuse 1 'two: holds the runs of several seeds' best two

# ---- the family of objectives trains on them; with P_B fixed, wake-sleep is forward KL and its reverse reverse KL
for objective in db subtb fl_db log_variance flow_matching soft_dqn reverse_kl reverse_wake_sleep forward_kl wake_sleep \
  mixed_kl renyi; do
  run 0 train mol.yaml -q --set objective=$objective --set iterations=20 --set policy=fragment_network \
    --set policy.width=8 --set policy.steps=2 --out family/$objective
done
for pair in 'reverse_kl reverse_wake_sleep' 'forward_kl wake_sleep'; do
  for objective in $pair; do # all but ess, which is of P_B's weights as well
    cut -d, -f12 --complement family/$objective/metrics.csv >$objective.csv
  done
  cmp -s ${pair% *}.csv ${pair#* }.csv || fail "other metrics: $pair"
done
[ "$(cut -d, -f3 family/*/metrics.csv | sort -u | wc -l)" -ge 11 ] || fail 'objectives with the same losses'

# ---- vocabularies, weights and settings that are refused before anything is written
refuse 1 "has blocks with a single attachment (block 17, C1CC1), which leave no way to go on from two; expected at most 2" \
  train mol.yaml --set env.min_blocks=3 --set env.max_blocks=4 --out none -q
echo '{"fragments": [{"smiles": "F", "attach": [0]}, {"smiles": "Cl", "attach": [0]}]}' >ends.json
refuse 1 "'ends.json' has blocks with a single attachment (block 0, F)" train mol.yaml --set env.path=ends.json \
  --set env.min_blocks=3 --out none -q
run 0 train mol.yaml --set env.path=ends.json --set env.min_blocks=2 --set iterations=2 --out pairs -q
echo '{"fragments": [{"smiles": "C", "attach": [0, 0]}, {"smiles": "CO", "attach": [0, 1]}]}' >chains.json
run 0 train mol.yaml --set env.path=chains.json --set env.min_blocks=3 --set iterations=2 --out chains -q
refuse 1 'env.min_blocks is 5; expected at most env.max_blocks, 3' train mol.yaml --set env.path=chains.json \
  --set env.min_blocks=5 --out none -q
: >empty.json
refuse 1 'empty.json: line 1: not JSON, expected an object with "fragments"' train mol.yaml --set env.path=empty.json --out none -q
refuse 1 'none.json: cannot read: ' train mol.yaml --set env.path=none.json --out none -q
refuse 1 '.: cannot read: Is a directory' train mol.yaml --set env.path=. --out none -q
head -c 900 weights.safetensors >cut.safetensors
refuse 1 'cut.safetensors: truncated: ' train mol.yaml --set reward.path=cut.safetensors --out none -q
refuse 2 "'trans' is not one of plain|transposed" train mol.yaml --set reward.root=trans --out none -q
refuse 1 'empty.json: there are no molecules in it' eval runs/mol --molecules empty.json --out none.csv
refuse 1 '.: cannot read: Is a directory' eval runs/mol --molecules . --out none.csv
printf 'block\tjbonds\n0\t\n' >table.tsv
refuse 1 "table.tsv: line 1: no column is named 'blocks'" eval runs/mol --molecules table.tsv --out none.csv

finish
