#!/usr/bin/env bash
# All that a CUDA GPU shows, in at most 8 minutes: metrics, networks, and the four generators' training steps.
#   benchmarks/gpu.sh CLIP OUT        DEVICE=cpu COPIES=1 RUNS=core:1:fp32 PARTS=metrics tries the script without a GPU
# CLIP is a talking clip of about 8 seconds. PARTS (default: all) chooses among metrics, radio, stylesync, expert and
# personatalk. OUT gets a .txt and a .json or .md of each part. RADIO's table 2 under an equal budget, and dubbing, take
# longer: bench_radio_gpu.py without --speed-only.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
clip=$1 out=$2 device=${DEVICE:-cuda} parts=${PARTS:-metrics,radio,stylesync,expert,personatalk}
mkdir -p "$out/videos"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
"$python" - "$clip" "$out/videos" <<'CUT'  # two seconds, twice, are enough to train on
import sys
from itertools import islice
from pathlib import Path

from lipsync_eval.media import open_clip, write_video

clip = open_clip(Path(sys.argv[1]))
audio = None if clip.audio is None else clip.audio.samples[: 50 * 640]
for name in ("a.mp4", "b.mp4"):
    write_video(Path(sys.argv[2]) / name, islice(clip.frames(), 50), audio=audio, codec="h264", crf=12)
CUT

wanted() { [[ ",$parts," == *",$1,"* ]]; }
bench() { "$python" "$here/benchmarks/$1" "${@:2}" --device "$device" 2>&1; }
prepare() { "$python" -m lipsync_eval "$1" prepare "$out/videos" "${@:2}" 2>&1 | tail -3; }

if wanted metrics; then
  bench gpu_metrics.py "$clip" --out "$out" --copies "${COPIES:-96}" --networks \
    --runs "${RUNS:-all:auto:fp32,all:auto:bf16,core:auto:fp32}" | tee "$out/metrics.txt"
fi
if wanted radio; then
  prepare radio "$out/data" --size 192 --workers 2
  bench bench_radio_gpu.py "$out/data" "$clip" --out "$out/radio" --holdout clips:0.5 --batches "${BATCHES:-4,16}" \
    --workers 4 --speed-only ${TRY:+--try} | tee "$out/radio.txt"
fi
if wanted stylesync; then
  prepare stylesync "$out/data256" --workers 2
  bench bench_stylesync_gpu.py "$out/data256" --out "$out" --steps "${STEPS:-8}" | tee "$out/stylesync.txt"
fi
if wanted expert; then
  prepare avhubert-expert "$out/data96"
  [ -f "$out/weights/avhubert.pt" ] || "$python" "$here/benchmarks/bench_networks.py" weights "$out/weights"
  bench bench_avhubert_expert.py "$out/data96" "$out/weights/avhubert.pt" --out "$out/expert.json" \
    --batches "${BATCHES:-4,16}" --workers 4 --holdout clips:0.5 --steps 10 | tee "$out/expert.txt"
fi
if wanted personatalk; then
  for precision in fp32 bf16; do
    bench bench_personatalk.py --precision "$precision" --seconds "${SECONDS_EACH:-4}"
  done | tee "$out/personatalk.txt"
fi
rm -rf "$out/videos" "$out/data" "$out/data256" "$out/data96" "$out/weights" "$out/clips"
