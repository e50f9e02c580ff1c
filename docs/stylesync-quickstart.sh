#!/bin/sh
# From a folder of talking videos to a table of G and P, with the small CPU configuration.
#
#   sh docs/stylesync-quickstart.sh VIDEOS OUT [STEPS] [NARROW]
#
# VIDEOS: a few clips of talking people with audio. OUT: a new folder. STEPS: training steps of G and of its sync network
# (default 600; the last quarter of G's has the adversarial loss). NARROW: model.narrow (default 0.125; the preset has
# 0.25, four times slower).
#
# Every video is dubbed with its own audio, by G and by a P personalised on that very video: the scores are those of a
# reconstruction of frames seen in training. They say that the chain works and nothing about new people.
set -eu
videos=$1
out=$2
steps=${3:-600}
narrow=${4:-0.125}
mkdir -p "$out/g" "$out/p" "$out/persons"

lipsync-eval stylesync prepare "$videos" "$out/data" --size 64

lipsync-eval stylesync train-sync --preset stylesync-64 --data "$out/data" --out "$out/sync" --device cpu \
  --set data.holdout=tail:0.2 --set "sync_train.steps=$steps" --set "sync_train.validate_every=$steps"

lipsync-eval stylesync train --preset stylesync-64 --data "$out/data" --out "$out/base" --device cpu \
  --set "model.narrow=$narrow" --set data.holdout=tail:0.2 --set "train.steps=$steps" --set "train.batch=1" \
  --set "train.adversarial_from=$((steps * 3 / 4))" \
  --set "train.validate_every=$steps" --set "loss.sync_checkpoint='$out/sync'"

for video in "$videos"/*; do
  case "$video" in *.mp4 | *.avi | *.mpg | *.mov | *.mkv | *.webm) ;; *) continue ;; esac
  name=$(basename "${video%.*}")
  lipsync-eval stylesync personalise "$out/base" --video "$video" --general "$out/data" --out "$out/persons/$name" \
    --device cpu --set data.holdout=tail:0.2 --set personal.batch=2 --set "personal.epochs=${EPOCHS:-5}"
  for kind in g p; do
    [ "$kind" = p ] && personal="--personal $out/persons/$name" || personal=""
    # shellcheck disable=SC2086
    lipsync-eval stylesync dub --video "$video" --audio "$video" --length shortest --checkpoint "$out/base" $personal \
      --out "$out/$kind/$name.mkv" --device cpu >"$out/$kind/$name.log"
  done
done

lipsync-eval score "$out/g" "$videos" --name stylesync_g --protocol stylesync --out "$out/score-g" ||
  [ $? -eq 3 ] # 3: some numbers are missing
lipsync-eval score "$out/p" "$videos" --name stylesync_p --protocol stylesync --out "$out/score-p" ||
  [ $? -eq 3 ] # 3: some numbers are missing
lipsync-eval table "$out/score-g" "$out/score-p"
