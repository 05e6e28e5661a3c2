#!/usr/bin/env bash
# Fuzzes the reader of event files with AddressSanitizer and UndefinedBehaviorSanitizer:
#   bash tests/fuzz/run.sh [SECONDS] [FOLDER FOR WHAT IS FOUND]
#
# A minute by default; half an hour before a change of the reader is released. With Clang and its
# libFuzzer inputs are bred by what they reach; without, with GCC, they are mutated blindly by the
# target's own driver. Which it was, and how many inputs were read, is said in any case.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
folder=${2:-$(mktemp -d)}
mkdir -p "$folder/inputs"
flags=(-std=c++17 -O2 -g -Wall -Wextra -fno-sanitize-recover=all tests/fuzz/event_reader.cpp)
clang=${CLANG:-clang++}

if "$clang" -fsanitize=fuzzer,address,undefined "${flags[@]}" -o "$folder/fuzz" 2>"$folder/clang.log"; then
  echo "libFuzzer, $("$clang" --version | head -n 1)"
  "$folder/fuzz" -max_total_time="$seconds" -max_len=2600 -print_final_stats=1 -print_funcs=0 -verbosity=0 \
    -artifact_prefix="$folder/" "$folder/inputs" tests/fuzz/corpus
else
  echo "no libFuzzer here ($(head -n 1 "$folder/clang.log")); blind mutation, $("${CXX:-g++}" --version | head -n 1)"
  "${CXX:-g++}" -DEWMA_FUZZ_STANDALONE -fsanitize=address,undefined "${flags[@]}" -o "$folder/fuzz"
  "$folder/fuzz" "$seconds" "${SEED:-$RANDOM}" "$folder/last-input" tests/fuzz/corpus/*
fi
