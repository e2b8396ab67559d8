# shellcheck shell=bash
# What the tests of the command from outside share, sourced at their head with their own arguments: an empty
# folder to work in, which goes at the end, and what may be said of a command. Not a test itself: tests are test_*.sh.
set -u
bin=$(realpath "${1:-${FLUVIAL_BIN:?which fluvial?}}")
source=$(realpath "${2:-${FLUVIAL_SOURCE:-$(dirname "$0")/..}}")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
  echo "FAILED: $*" >&2
  sed 's/^/  out: /' out >&2
  sed 's/^/  err: /' err >&2
  failures=$((failures + 1))
}

# run CODE ARGUMENTS...: the exit code; standard output and error are left in the files out and err
run() {
  local want=$1 code
  shift
  "$bin" "$@" >out 2>err </dev/null
  code=$?
  [ "$code" -eq "$want" ] || fail "fluvial $* gave $code, expected $want"
}

# refuse CODE TEXT ARGUMENTS...: fails with one line of that text, writes nothing, leaves nothing behind
refuse() {
  local want=$1 text=$2 before after
  shift 2
  before=$(ls -A | grep -v '^out$\|^err$')
  run "$want" "$@"
  after=$(ls -A | grep -v '^out$\|^err$')
  [ "$before" = "$after" ] || fail "fluvial $*: left something behind"
  [ ! -s out ] || fail "fluvial $*: wrote to standard output"
  [ "$(wc -l <err)" -eq 1 ] || fail "fluvial $*: expected one line on standard error"
  grep -q '^fluvial: ' err || fail "fluvial $*: the error does not begin with 'fluvial: '"
  grep -qF -- "$text" err || fail "fluvial $*: the error does not say '$text'"
}

says() { grep -qF -- "$1" "${2:-out}" || fail "expected '$1' in ${2:-out}"; }

# At the end of a test: how it went.
finish() {
  if [ "$failures" -gt 0 ]; then
    echo "$failures failed" >&2
    exit 1
  fi
  echo 'all passed'
}
