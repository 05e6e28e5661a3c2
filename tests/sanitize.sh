#!/usr/bin/env bash
# Builds the C++ with AddressSanitizer and UndefinedBehaviorSanitizer into a new environment and
# runs the tests that reach it, without those of the command, of pictures and of Keras:  bash tests/sanitize.sh [FOLDER FOR THE ENVIRONMENT]
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${1:-$(mktemp -d)}
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet '.[test]' -C cmake.define.EWMA_SANITIZE=ON
# Python itself leaks on purpose; a sanitized program ends where memory is short; the sanitizers'
# own libraries must come before it.
ASAN_OPTIONS=detect_leaks=0 \
  LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
  "$environment/bin/pytest" -q -p no:cacheprovider --ignore-glob='tests/*keras*' \
  --ignore-glob='tests/test_cli*' --ignore-glob='tests/test_*plot.py' \
  -k 'not no_memory' --ignore=tests/test_{aggregate,bands,follow_cli,output_file,report}.py
