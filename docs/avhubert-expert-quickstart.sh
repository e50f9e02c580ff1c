#!/bin/sh
# From talking videos to a table of scores with the small CPU configuration of the AV-HuBERT-expert generator.
#
#   sh docs/avhubert-expert-quickstart.sh VIDEOS OUT [STEPS] [AVHUBERT]
#
# VIDEOS:   a few clips of talking people, each with audio (in the file, or a .wav with its stem beside it).
# OUT:      a new folder. STEPS: training steps (default 400; with a few, no face is found in what is generated).
# AVHUBERT: an official AV-HuBERT checkpoint; without it the sync loss is the lip expert's (table 4's baseline).
#
# Every video is dubbed with its own audio, so that the real video is the answer; the scores are those of a
# reconstruction of people seen in training, which says that the chain works and nothing about new people.
set -eu
videos=$1
out=$2
steps=${3:-400}
avhubert=${4:-}
preset="--preset avhubert-expert-48 --device cpu --set data.holdout=tail:0.2"
every=$((steps / 4))

lipsync-eval avhubert-expert prepare "$videos" "$out/data" --size 48

lipsync-eval avhubert-expert train-expert $preset --data "$out/data" --out "$out/expert" \
  --set "expert_train.steps=$steps" --set "expert_train.validate_every=$steps" --set "expert_train.save_every=$steps"

if [ -n "$avhubert" ]; then
  sync="--set loss.sync_kind=unsupervised --set loss.avhubert_weights=$avhubert"
else
  sync="--set loss.sync_kind=lip_expert"
fi
lipsync-eval avhubert-expert train $preset --data "$out/data" --out "$out/run" --set "expert.weights=$out/expert" $sync \
  --set "train.steps=$steps" --set "train.validate_every=$every" --set "train.save_every=$every"

mkdir -p "$out/dubbed"
for video in "$videos"/*; do
  case "$video" in *.mp4 | *.avi | *.mpg | *.mov | *.mkv | *.webm) ;; *) continue ;; esac
  speech="${video%.*}.wav"
  [ -f "$speech" ] || speech=$video
  name=$(basename "${video%.*}")
  lipsync-eval avhubert-expert dub --video "$video" --audio "$speech" --length shortest --checkpoint "$out/run" \
    --out "$out/dubbed/$name.mkv" --device cpu >"$out/dubbed/$name.log"
done

lipsync-eval score "$out/dubbed" "$videos" --name AV-HuBERT-expert-48 --out "$out/score" ||
  [ $? -eq 3 ] # 3: some numbers are missing
lipsync-eval table "$out/score"
