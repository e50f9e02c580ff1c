#!/usr/bin/env bash
# All that a CUDA GPU shows, in at most 8 minutes: metrics and networks, then RADIO's training steps and dubbing.
#   benchmarks/gpu.sh CLIP OUT [AVHUBERT_CHECKPOINT]        DEVICE=cpu COPIES=1 tries the script without a GPU
# CLIP is a talking clip of about 8 seconds. OUT gets metrics.json, metrics.md and radio.txt.
# STYLESYNC=1 also measures StyleSync at 256 px, batch 8, fp32 and bf16: stylesync.txt and stylesync.json.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
clip=$1 out=$2 avhubert=${3:-} device=${DEVICE:-cuda}
mkdir -p "$out"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1
python=${PYTHON:-python3}
"$python" "$here/benchmarks/gpu_metrics.py" "$clip" --out "$out" --device "$device" --copies "${COPIES:-32}" \
  --workers "${WORKERS:-1,16}" ${avhubert:+--avhubert "$avhubert"} 2>&1 | tee "$out/metrics.txt"
mkdir -p "$out/videos" && cp "$clip" "$out/videos/a.mp4" && cp "$clip" "$out/videos/b.mp4"
"$python" -m lipsync_eval radio prepare "$out/videos" "$out/data" --size 192 --workers 2 2>&1 | tail -3
"$python" "$here/benchmarks/bench_radio_gpu.py" "$out/data" "$clip" --out "$out/radio" --device "$device" \
  --minutes "${MINUTES:-2}" --batch 8 --holdout "${HOLDOUT:-clips:0.5}" --batches "${BATCHES:-4,16}" --workers 4 \
  ${TRY:+--try} 2>&1 | tee "$out/radio.txt"
if [ -n "${STYLESYNC:-}" ]; then  # off by default: it needs 1 to 2 minutes of its own
  "$python" -m lipsync_eval stylesync prepare "$out/videos" "$out/data256" --workers 2 2>&1 | tail -3
  "$python" "$here/benchmarks/bench_stylesync_gpu.py" "$out/data256" --out "$out" --device "$device" \
    2>&1 | tee "$out/stylesync.txt"
fi
rm -rf "$out/videos" "$out/data" "$out/data256" "$out/weights" "$out/clips"
