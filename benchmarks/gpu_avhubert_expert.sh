#!/usr/bin/env bash
# What a CUDA GPU shows of the AV-HuBERT-expert generator: seconds per step with each of its four sync losses at 96 px.
#   benchmarks/gpu_avhubert_expert.sh CLIP OUT AVHUBERT_CHECKPOINT
#   DEVICE=cpu PRESET=avhubert-expert-48 BATCHES=1 STEPS=2 tries the script without a GPU
# CLIP is a talking clip of about 8 seconds. OUT gets expert.json and expert.txt. About 3 minutes.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
clip=$1 out=$2 avhubert=$3
mkdir -p "$out"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1
python=${PYTHON:-python3}
"$python" -m lipsync_eval avhubert-expert prepare "$clip" "$out/data" 2>&1 | tail -3
"$python" "$here/benchmarks/bench_avhubert_expert.py" "$out/data" "$avhubert" --out "$out/expert.json" \
  --device "${DEVICE:-cuda}" --preset "${PRESET:-avhubert-expert-96}" --batches "${BATCHES:-4,16}" \
  --precisions "${PRECISIONS:-fp32,bf16}" --steps "${STEPS:-20}" --workers "${WORKERS:-4}" 2>&1 | tee "$out/expert.txt"
rm -rf "$out/data"
