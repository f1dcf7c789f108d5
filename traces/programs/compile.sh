#!/bin/sh
# Compiles and links a small Rust program three times: without optimisation, with it, and with its
# tests. The compiler has threads; the linker driver and the linker are its children.
set -eu
here=$(dirname "$0")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
compile() { rustc --edition 2021 "$@" "$here/anagrams.rs"; }

compile -g -o "$out/debug"
compile -O -C codegen-units=4 -o "$out/release"
compile -O --test -o "$out/test"
"$out/test" --quiet
printf 'listen silent enlist google elbow below state taste\n' | "$out/release"
