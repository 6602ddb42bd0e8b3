#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lib.sh - what the run script of every benchmark begins with, which sources it
# and so hands over its own arguments, [BUILD_FOLDER] [OPTION...].
#
#   here, top, build, tools   folders: the script's, the checkout, the build,
#                             and that for the programs of a benchmark
#   prepare                   installs the peers where it may, and builds
#   compile NAME ARGUMENT...  a program of a benchmark, into $tools
#
# BUILD_FOLDER is gone from the arguments then, and --help is answered.
# shellcheck disable=SC2034
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build/release
case ${1:-} in
-* | "") ;;
*)
	build=$(realpath -m "$1")
	shift
	;;
esac
tools=$build/bench

for arg in "$@"; do
	case $arg in
	-h | --help) exec python3 -B "$here/benchmark.py" --build "$build" --help ;;
	esac
done

prepare() {
	bash "$top/bench/deps" ||
		echo "bench: goes on with the peers there are" >&2
	make -C "$top" B="$build" all >&2
	mkdir -p "$tools"
}

compile() {
	local name=$1
	shift
	cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Wshadow \
	    -Wformat=2 -o "$tools/$name" "$@"
}
