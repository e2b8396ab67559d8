#!/usr/bin/env bash
# docs/objectives.md says what the code and the committed results say: made again, page and data are the same; and a
# changed result or an objective without results shows in them.
set -u
fluvial=$(realpath "${1:-${FLUVIAL_BIN:?which fluvial?}}")
source=$(realpath "${2:-${FLUVIAL_SOURCE:-$(dirname "$0")/..}}")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$source" || exit 1
failures=0

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}
page() { # DIRECTORY [RESULTS]
  FLUVIAL=$fluvial RESULTS=${2:-} tools/objectives_page.sh --check "$1" || fail "tools/objectives_page.sh failed"
}

page "$work/made"
for file in objectives.md objectives/jsd.dat; do
  diff "docs/$file" "$work/made/$file" >&2 || fail "docs/$file is out of date: tools/objectives_page.sh"
done
n=$("$fluvial" list objectives --table | grep -c '^| `')
for table in '| the loss' '| log Z |'; do
  rows=$(awk -v head="$table" 'index($0, head) {on = 1} !NF {on = 0} on && /^[|] `/ {n++} END {print n + 0}' "$work/made/objectives.md")
  [ "$rows" -eq "$n" ] || fail "$rows rows under '$table', of $n objectives"
done

# Results that are not the committed ones: of tb none but two, whose mean is 2e-3 and whose deviation 1.4e-3.
grep -v '^tb,' docs/objectives/results.csv >"$work/other.csv"
printf 'tb,grid8,1,128000,1e-3,1.0\ntb,grid8,2,128000,3e-3,2.0\n' >>"$work/other.csv"
page "$work/other" "$work/other.csv"
# shellcheck disable=SC2016
grep -qF '| `tb` | needed | any | – | (2.0 ± 1.4)e-3 | – | – | 1.00 |' "$work/other/objectives.md" ||
  fail "the mean and deviation of two known results"
[ "$failures" -eq 0 ] || exit 1
echo "docs/objectives.md: $n objectives, up to date"
