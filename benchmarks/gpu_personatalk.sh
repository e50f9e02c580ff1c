#!/usr/bin/env bash
# PersonaTalk on a CUDA GPU, about two minutes: frames per second of stage 2 with 5 and 25 lip references, training steps.
#   benchmarks/gpu_personatalk.sh OUT        DEVICE=cpu PRESET=personatalk-128 SECONDS_EACH=2 tries it without a GPU
# Needs no data and no weights. OUT gets personatalk.txt.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
for precision in fp32 bf16; do
  "${PYTHON:-python3}" "$here/benchmarks/bench_personatalk.py" --device "${DEVICE:-cuda}" \
    --preset "${PRESET:-personatalk-256}" --precision "$precision" --seconds "${SECONDS_EACH:-10}"
done 2>&1 | tee "$1/personatalk.txt"
