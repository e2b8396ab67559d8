#!/bin/sh
# Writes docs/performance.md from a committed output of the benchmark: tools/performance_doc.sh bench/results/X.txt
# The tables are from X, the whole runs from every file there.
set -eu
cd "$(dirname "$0")/.."
from=$1
{
  cat <<'HEAD'
# Performance

```sh
make bench                    # the tables below, about a minute
build/bench/engine full       # a whole run, about five minutes on two cores
```

The **floor** of an iteration is distinct rows x weights of the dense layers x 6 flops (forward, gradient of the input,
gradient of the weights), over the single-precision rate of a 2048^3 matrix product measured beside it, times the
number of threads. The k-hot first layer is not counted. Sampling, environments, objectives, the optimiser and every
copy are on top of it. TB, learned P_B on P_F's trunk, two hidden layers of 256 units.

HEAD
  echo "From [$from](../$from):"
  echo
  sed -n 's/^# \(.*cores.*\)/    \1/p' "$from"
  sed -n 's/^\(matrix product.*\)/    \1/p' "$from"
  echo
  echo "| grid | batch | threads | ms per iteration | states | distinct | fraction of the floor | against one thread |"
  echo "|---|---|---|---|---|---|---|---|"
  awk -F, '/^[0-9]+[x^][0-9]+,[0-9]+,[0-9]+,/ {printf "| %s | %s | %s | %s | %s | %s | %.0f %% | %s |\n", $1,$2,$3,$4,$5,$6,100*$8,$9}' "$from"
  echo
  echo "Every distinct state once, against one row per visited state:"
  echo
  sed -n 's/^\(8x8 batch.*\)/    \1/p' "$from"
  echo
  echo "A whole run of 10^6 trajectories, the paper's untied networks, exact evaluation every 200 iterations:"
  echo
  for run in bench/results/*.txt; do
    sed -n '/cores;/s/^# /    /p; /OPENBLAS_CORETYPE=/s/^# /    /p; s/^\(128x128,.*\)/      \1/p' "$run" |
      fold -s -w 110 | sed 's/^\([^ ]\)/      \1/'
  done
  echo
  echo "Causal graphs, TB, half of the actions uniform, one thread (\`build/bench/engine graphs\`):"
  echo
  echo "| variables | batch | policy | ms per iteration | distinct states | fraction of the floor | distinct states/s |"
  echo "|---|---|---|---|---|---|---|"
  awk -F, '/^[0-9]+,[0-9]+,[a-z]/ {printf "| %s | %s | `%s` | %s | %s | %.0f %% | %.0f |\n", $1,$2,$3,$4,$5,100*$7,1000*$5/$4}' "$from"
  cat <<'TAIL'

## Where the time goes

16^4, batch 128, one thread (`perf record` on that setting): matrix products 66 %, the few-row products of sampling 6 %,
the BLAS's own copies 9 %, activations and the first layer 5 %, hashing and drawing 5 %, log-softmax 3 %, gradients'
sums and the optimiser 3 %.

## What was tried

- **Few rows.** BLAS copies the weights before each product: at the 5 to 40 new states of a sampling step it took three
  to five times as long as a tile in registers. In processor time, batch 128 on 16^4 went from 59 % to 76 % of the floor,
  and interning on 8x8 from 2.6 to 3.4 times.
- **Two threads** cut the columns of a sampling step's products and the chunks of rows of the rest. On a machine that is
  busy with other work they made an iteration five to ten times slower, because every barrier waits for a thread that was
  put aside; now the number is chosen by the clock, in trials of 12 of every 384 iterations, and never changes a bit of
  the result.
- **Shards of gradients.** Each is a copy of all weights, written and summed whatever its rows. Eight of them, one for each
  chunk, cost the whole run 5 % of its time; batches below 4096 rows now use four.
- **Denormal numbers.** Adam's moments of weights without a gradient faded into them, and the optimiser took three times as
  long after a thousand iterations. They are settled at zero now.
- **Generic kernels.** OpenBLAS 0.3.21 does not know processors newer than itself and runs code for SSE on them, a fifth as
  fast. The command starts itself again with the kernels the processor can run ([`blas.h`](../include/fluvial/blas.h)).
- **Narrow heads.** The weights' gradient of a head with a few columns goes around BLAS too, which pads them.
TAIL
} > docs/performance.md
echo docs/performance.md
