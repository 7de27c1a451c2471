#!/usr/bin/env bash
# run.sh SECONDS: runs each fuzz target that long, from seeds made of real ledgers and from what
# earlier runs found. Needs no nightly compiler and no cargo-fuzz: the flags below are what that
# would pass without a sanitizer, and no code of ours can misuse memory (`unsafe` is forbidden).
set -euo pipefail
seconds=${1:?usage: run.sh SECONDS}
cd "$(dirname "$0")"
cargo=${CARGO:-cargo}
command -v c++ >/dev/null || { echo 'a C++ compiler is missing; type: apt-get install g++' >&2; exit 1; }
host=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
corpus=$target/corpus
found=$target/found
mkdir -p "$found"

flags='-Cpasses=sancov-module -Ccodegen-units=1 --cfg fuzzing'
for arg in sanitizer-coverage-level=4 sanitizer-coverage-inline-8bit-counters \
    sanitizer-coverage-pc-table sanitizer-coverage-trace-compares \
    simplifycfg-branch-fold-threshold=0; do
    flags+=" -Cllvm-args=-$arg"
done
$cargo run --locked --quiet --release --target-dir "$target" --example seeds "$corpus"
RUSTFLAGS=$flags $cargo build --locked --quiet --release --target-dir "$target" --target "$host" --bins

for name in frame open; do
    printf -- '-- fuzzing %s for %s s\n' "$name" "$seconds"
    log=$target/$name.log
    if ! "$target/$host/release/$name" -max_total_time="$seconds" -max_len=16384 -timeout=20 \
        -print_final_stats=1 -artifact_prefix="$found/$name-" "$corpus/$name" >"$log" 2>&1; then
        grep -A3 panicked "$log" >&2 || tail -n 20 "$log" >&2
        echo "the input is in $found; replay it: $target/$host/release/$name FILE" >&2
        exit 1
    fi
    grep -E '^INFO: Seed|DONE|^stat::number_of_executed_units|^stat::average_exec' "$log"
done
