#!/usr/bin/env bash
# Builds the C++ with AddressSanitizer and UndefinedBehaviorSanitizer into a new environment and runs
# the tests that reach it, but none of the command, of pictures, of other machines or of Keras:
#   bash tests/sanitize.sh [FOLDER FOR THE ENVIRONMENT]
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${1:-$(mktemp -d)}
python3 -m venv "$environment"
# Not all that the tests want: TensorFlow, PyTorch and JAX alone are gigabytes.
"$environment/bin/pip" install --quiet '.[parquet]' pytest hypothesis ml_dtypes polars statsmodels \
  tensorboard tensorboardX -C cmake.define.EWMA_SANITIZE=ON
tests=(tests/test_{choose,containers,decay,definition,groups,new_pages,options,smooth_properties,stream,threads,times,variance}.py
  tests/tensorboard/test_{bad_event_files,copies,crc32c,duplicates,event_reader,faults,follow,follow_holes,follow_restarts,read_scalars,scalar_columns,side_by_side,tensor_scalars,verify,write_scalars}.py)
# Python itself leaks on purpose; a sanitized program ends where memory is short; the sanitizers'
# own libraries must come before it. Programs that end while threads work are started by the dozen.
ASAN_OPTIONS=detect_leaks=0 \
  LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
  "$environment/bin/pytest" -q -p no:cacheprovider "${tests[@]}" \
  -k 'not no_memory and not a_program_ends'
