#!/bin/sh
# From a folder of talking videos to a table of scores, with the small CPU configuration.
#
#   sh docs/radio-quickstart.sh VIDEOS OUT [STEPS]
#
# VIDEOS: a few clips of talking people, each with audio (in the file, or a .wav with its stem beside it).
# OUT:    a new folder. STEPS: training steps (default 600: for three clips of 21 s in all, some ten minutes of one core).
#
# Every video is dubbed with its own audio, so that the real video is the answer; the scores are those of a
# reconstruction of people seen in training, which says that the chain works and nothing about new people.
set -eu
videos=$1
out=$2
steps=${3:-600}

lipsync-eval radio prepare "$videos" "$out/data" --size 96

lipsync-eval radio train-sync --preset radio-48 --data "$out/data" --out "$out/sync" --device cpu \
  --set data.holdout=tail:0.2 --set "sync_train.steps=$steps" --set "sync_train.sync_from=$((steps / 2))" \
  --set "sync_train.validate_every=$steps"

lipsync-eval radio train --preset radio-48 --data "$out/data" --out "$out/run" --device cpu \
  --set data.holdout=tail:0.2 --set "train.steps=$steps" --set "train.validate_every=$((steps / 3))" \
  --set "loss.sync_checkpoint='$out/sync'"

mkdir -p "$out/dubbed"
for video in "$videos"/*; do
  case "$video" in *.mp4 | *.avi | *.mpg | *.mov | *.mkv | *.webm) ;; *) continue ;; esac
  speech="${video%.*}.wav"
  [ -f "$speech" ] || speech=$video
  name=$(basename "${video%.*}")
  lipsync-eval radio dub --video "$video" --audio "$speech" --length shortest --checkpoint "$out/run" \
    --out "$out/dubbed/$name.mkv" --device cpu >"$out/dubbed/$name.log"
done

lipsync-eval score "$out/dubbed" "$videos" --name RADIO-48 --out "$out/score" ||
  [ $? -eq 3 ] # 3: some numbers are missing
lipsync-eval table "$out/score"
