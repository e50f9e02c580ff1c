#!/bin/sh
# From a folder of talking videos to a table of scores, with PersonaTalk's small CPU configuration.
#
#   sh docs/personatalk-quickstart.sh VIDEOS OUT [STEPS]
#
# VIDEOS: a few clips of talking people with audio, at least 2 s each. OUT: a new folder. STEPS: of each stage (default 600).
# Needs mediapipe and face_landmarker.task; PROVIDER=points68 tries the script without them.
#
# Every video is dubbed with its own audio, so that the real video is the answer; the scores are those of a
# reconstruction of people seen in training, which says that the chain works and nothing about new people.
set -eu
videos=$1
out=$2
steps=${3:-600}
provider=${PROVIDER:-mediapipe}
files=${LANDMARKER:+--landmarker $LANDMARKER}
common="--preset personatalk-128 --device cpu --set geometry.provider=$provider --set data.holdout=tail:0.25"

lipsync-eval personatalk fit "$videos" --provider "$provider" $files --vertices "$out/real" --data "$out/data" --size 128

lipsync-eval personatalk train-geometry $common --data "$out/data" --out "$out/geometry" \
  --set geometry_train.window=20 --set geometry_train.reference=20 --set "geometry_train.steps=$steps" \
  --set "geometry_train.validate_every=$steps"

lipsync-eval personatalk train-renderer $common --data "$out/data" --out "$out/renderer" \
  --set "render_train.steps=$steps" --set render_train.batch=2 --set "render_train.validate_every=$steps"

mkdir -p "$out/dubbed" "$out/originals"
for video in "$videos"/*; do
  case "$video" in *.mp4 | *.avi | *.mpg | *.mov | *.mkv | *.webm) ;; *) continue ;; esac
  speech="${video%.*}.wav"
  [ -f "$speech" ] || speech=$video
  name=$(basename "${video%.*}")
  lipsync-eval personatalk dub --video "$video" --audio "$speech" --length shortest --geometry "$out/geometry" \
    --checkpoint "$out/renderer" $files --out "$out/dubbed/$name.mkv" --device cpu >"$out/dubbed/$name.log"
  cp "$video" "$out/originals/"
  cp "$out/real/$name.vertices.npz" "$out/originals/"
done

lipsync-eval personatalk fit "$out/dubbed" --provider "$provider" $files ||
  [ $? -eq 3 ] # 3: no face was found in some
lipsync-eval score "$out/dubbed" "$out/originals" --metrics core,stylesim_vertices --protocol personatalk \
  --name PersonaTalk-128 --out "$out/score" ||
  [ $? -eq 3 ] # 3: some numbers are missing
lipsync-eval table "$out/score" --layout personatalk
