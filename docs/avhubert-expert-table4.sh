#!/bin/sh
# Table 4 of Yaman et al. 2024: one generator trained with each of the four sync losses, equal steps, batch and seed,
# then scored. It prints what comes out and claims no ranking: a few steps on a few clips decide nothing.
#
#   sh docs/avhubert-expert-table4.sh VIDEOS DATA EXPERT AVHUBERT OUT [STEPS]
#
# VIDEOS:   talking clips, each dubbed with its own audio (a .wav with its stem beside it replaces the file's own).
# DATA:     a folder of `avhubert-expert prepare`. EXPERT: lipsync_expert.pth, or a run of `avhubert-expert train-expert`.
# AVHUBERT: an official AV-HuBERT Base checkpoint. OUT: a new folder. STEPS: default 20.
# From the environment: PRESET (avhubert-expert-48), SET (further --set options), DEVICE (cpu), METRICS, MASK (box).
set -eu
videos=$1
data=$2
expert=$3
avhubert=$4
out=$5
steps=${6:-20}
device=${DEVICE:-cpu}
metrics=${METRICS:-ssim,psnr,fid,lmd,lse_c,lse_d,avs_u,avs_m,avs_v}

for kind in lip_expert visual-visual multimodal unsupervised; do
  lipsync-eval avhubert-expert train --preset "${PRESET:-avhubert-expert-48}" --data "$data" --out "$out/$kind" \
    --device "$device" --set "expert.weights=$expert" --set "loss.sync_kind=$kind" \
    --set "loss.avhubert_weights=$avhubert" --set "train.steps=$steps" --set "train.save_every=$steps" ${SET:-}
  mkdir -p "$out/$kind-dubbed"
  for video in "$videos"/*; do
    case "$video" in *.mp4 | *.avi | *.mpg | *.mov | *.mkv | *.webm) ;; *) continue ;; esac
    speech="${video%.*}.wav"
    [ -f "$speech" ] || speech=$video
    name=$(basename "${video%.*}")
    lipsync-eval avhubert-expert dub --video "$video" --audio "$speech" --length shortest --device "$device" --mask "${MASK:-box}" \
      --checkpoint "$out/$kind" --out "$out/$kind-dubbed/$name.mkv" >"$out/$kind-dubbed/$name.log"
  done
  lipsync-eval score "$out/$kind-dubbed" "$videos" --protocol wav2lip --metrics "$metrics" --skip-missing \
    --weights "avhubert=$avhubert" --device "$device" --name "$kind" --out "$out/$kind-score" || [ $? -eq 3 ] # 3: some numbers are missing
done
lipsync-eval table "$out"/*-score --layout avhubert-expert
