#!/usr/bin/env bash
# Installs what fluvial needs and this machine lacks (Debian, Ubuntu; root or sudo). Does nothing, at once,
# where nothing is missing.
#
#   tools/install-deps.sh         what building, testing and running need
#   tools/install-deps.sh --race  also what `make race` needs before it fetches the other programs
#   tools/install-deps.sh --ci    also what .ci/run and `make lint` need
set -eu

say() { printf 'install-deps: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

ci=0 python=0
case "${1-}" in
  '') ;;
  --race) python=1 ;;
  --ci) ci=1 python=1 ;;
  *) die "unknown option '$1' (there are --race and --ci)" ;;
esac

# How to know that a thing is there, whoever installed it.
command_there() { command -v "$1" >/dev/null 2>&1; }
module_there() { pkg-config --exists "$1" 2>/dev/null; }
header_there() {
  command_there cc && echo "#include <$1>" | cc -xc -E -o /dev/null - 2>/dev/null
}
clang_links() { # clang_links FLAGS...: a program with this runtime
  command_there clang && echo 'int main(void){return 0;}' | clang -xc "$@" -o /dev/null - 2>/dev/null
}
python_there() { python3 -c "import $1" 2>/dev/null; }

packages=()
want() { # want "PACKAGES" TEST ARGUMENTS...
  local names=$1
  shift
  "$@" || packages+=($names)
}

want 'gcc libc6-dev' header_there stdio.h
want make command_there make
want cmake command_there cmake
want ninja-build command_there ninja
want pkg-config command_there pkg-config
want libopenblas-dev module_there openblas
want librandom123-dev header_there Random123/philox.h
want libyaml-dev module_there yaml-0.1
want libcjson-dev module_there libcjson
want libxxhash-dev header_there xxhash.h
want libcmocka-dev module_there cmocka
want 'gnuplot-nox fonts-dejavu-core' command_there gnuplot
want graphviz command_there dot
if [ $ci = 1 ]; then
  want g++ command_there g++
  want clang command_there clang
  want clang-tidy command_there clang-tidy
  want clang-format command_there clang-format
  want cppcheck command_there cppcheck
  want COMPILER-RT clang_links -fsanitize=fuzzer-no-link,address
  want libomp-dev clang_links -fopenmp
fi
[ $python = 0 ] || want 'python3 python3-venv' python_there ensurepip

[ ${#packages[@]} = 0 ] && exit 0

command_there apt-get || die "missing: ${packages[*]}. There is no apt-get here: please install them yourself."
root=()
if [ "$(id -u)" != 0 ]; then
  command_there sudo || die "missing: ${packages[*]}. Please run this as root, or install sudo."
  root=(sudo)
fi
apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@"; }

say "installing ${packages[*]}"
apt update >/dev/null || die "apt-get update failed: is there a network?"

# clang's sanitizer and fuzzer runtimes: a package of its own in some releases, named by version in
# others, part of libclang-common in Ubuntu 22.04.
has_candidate() { apt-cache policy "$1" | grep -q 'Candidate: [^(]'; }
compiler_rt() {
  local version
  version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
  for name in libclang-rt-dev "libclang-rt-$version-dev" "libclang-common-$version-dev"; do
    has_candidate "$name" && { echo "$name"; return; }
  done
  die "found no package with clang's sanitizer runtime"
}
names=()
for name in "${packages[@]}"; do
  [ "$name" = COMPILER-RT ] && name=$(compiler_rt)
  has_candidate "$name" || die "apt knows no package '$name' (on Ubuntu: is 'universe' enabled?)"
  names+=("$name")
done

apt install --yes --no-install-recommends "${names[@]}" >/dev/null ||
  die "apt-get install failed: ${names[*]}"
say "done"
