#!/bin/sh
# Personalise a G for every clip of a manifest (CSV: id,video,audio...), as `compare --methods stylesync_p` needs it.
#
#   sh docs/stylesync-personalise.sh MANIFEST CHECKPOINT DATA OUT
#
# OUT/ID holds the personalisation of clip ID: give OUT as `personal` under [stylesync_p.options] in baselines.toml.
# From the environment: PRESET (p; p-wodw: table 3's row without dW), SET (further --set options).
# Paths in the manifest are taken from its folder, and must hold no comma or quotation mark.
set -eu
manifest=$1
checkpoint=$2
data=$3
out=$4
mkdir -p "$out"
folder=$(dirname "$manifest")
tail -n +2 "$manifest" | while IFS=, read -r id video rest; do
  [ -f "$out/$id/personal.json" ] && continue
  case "$video" in /*) ;; *) video=$folder/$video ;; esac
  lipsync-eval stylesync personalise "$checkpoint" --video "$video" --general "$data" --out "$out/$id" \
    --preset "${PRESET:-p}" ${SET:-} </dev/null
done
