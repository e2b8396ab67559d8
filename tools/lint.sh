#!/usr/bin/env bash
# Format, static analysis, include directions, what the documentation says. Changes nothing, except with --format.
#
#   tools/lint.sh            everything; exits non-zero at the end if anything was found
#   tools/lint.sh --format   rewrites the sources with clang-format
set -eu
cd "$(dirname "$0")/.."

# Layout differs a little between clang-format releases; the tree is formatted with this one.
release=14
format=clang-format-$release
command -v "$format" >/dev/null || format=clang-format
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.c' '*.h' | sort -u)
for i in "${!files[@]}"; do [ -f "${files[i]}" ] || unset "files[i]"; done

if [ "${1-}" = --format ]; then
  "$format" -i "${files[@]}"
  exit 0
fi
[ $# = 0 ] || { echo "lint: unknown option '$1' (there is only --format)" >&2; exit 2; }

bad=()
stage() { # stage NAME COMMAND...
  local name=$1
  shift
  if "$@"; then echo "lint: $name: ok"; else echo "lint: $name: FAILED"; bad+=("$name"); fi
}

check_format() {
  "$format" --version | grep -q "version $release\." ||
    echo "lint: note: $format is not release $release and may disagree with the tree"
  "$format" --dry-run --Werror "${files[@]}"
}
check_width() {
  ! awk 'length($0) > 100 {print FILENAME ":" FNR ": " length($0) " columns"; n++} END {exit !n}' \
    "${files[@]}"
}
# clang's own command lines, so that clang-tidy finds clang's omp.h and sees clang's warnings.
check_tidy() {
  cmake --preset clang >/dev/null || return 1
  printf '%s\n' "${files[@]}" | grep '\.c$' | grep -v '^\(fuzz\|tests\)/' |
    xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p build-clang 2>build-clang/tidy.err ||
    { grep -v 'warnings\? generated\|warnings\? treated' build-clang/tidy.err; return 1; }
}
# Suppressed: log(0) = -infinity is an ordinary value here; texts end with a zero, so one may be read before
# its limit is checked; an aligned block keeps a pointer in front of it; fields are
# read through the offsets that tables hold.
check_cppcheck() {
  cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -j "$(nproc)" \
    --enable=warning,performance,portability \
    --suppress=missingIncludeSystem --suppress=unmatchedSuppression \
    --suppress=invalidFunctionArg --suppress=arrayIndexThenCheck \
    --suppress=pointerSize:src/base/memory.c --suppress=invalidPointerCast \
    -D_DEFAULT_SOURCE -Iinclude -Isrc src cli examples bench
}
check_scripts() {
  local file ok=0
  for file in tools/*.sh tests/*.sh .ci/run; do
    if [ -f "$file" ]; then bash -n "$file" || ok=1; fi
  done
  for file in tools/*.py bench/race/*.py; do
    if [ -f "$file" ]; then python3 -c 'import ast,sys; ast.parse(open(sys.argv[1]).read())' "$file" || ok=1; fi
  done
  return $ok
}

stage 'columns' check_width
stage 'clang-format' check_format
stage 'include directions' tools/check_includes.py
stage 'documentation' tools/check_docs.py
stage 'scripts parse' check_scripts
stage 'cppcheck' check_cppcheck
stage 'clang-tidy' check_tidy
[ ${#bad[@]} = 0 ] || { echo "lint: failed: ${bad[*]}"; exit 1; }
echo 'lint: clean'
