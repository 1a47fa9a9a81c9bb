#!/bin/sh
# `small-free`: weights that have learnt from sources alone whose terms allow any use.
#
#   sh runs/free.sh [DATA] [OUT] [more options of scoresim pretrain]
#
# DATA holds one folder for each set, named as in docs/corpora.md. Works of the validation and test parts of all our
# sources stay out of training, also those of sources that are not in this set. Stop it and start it again as you
# like: it goes on. On two cores the set takes a quarter of an hour, packing it five minutes, training as long as
# `--minutes` says. Then: `python runs/ship.py OUT/small OUT/heads FOLDER --name small-free --data OUT/set
# --packed OUT/packed --figures FIGURES`; without `--packed` the card calls the weights research alone.
set -eu
DATA=${1:-../shared/data}
OUT=${2:-runs/free}
shift $(($# < 2 ? $# : 2))

sources=""
for name in kern_chopin openewld openscore_lieder polish_piano; do sources="$sources --corpus $name=$DATA/$name"; done
# shellcheck disable=SC2086 - the list is meant to be split
scoresim build "$OUT/set" $sources --style-balance 0.5 --complexity-balance on \
  --held-out results/small/excluded-works.tsv
[ -e "$OUT/packed/manifest.json" ] || scoresim pack "$OUT/set" "$OUT/packed" --degrade mix \
  --parts train --parts valid
case " $* " in *" --steps "* | *" --minutes "*) ;; *) set -- "$@" --minutes 100 ;; esac
scoresim pretrain "$OUT/packed" "$OUT/small" --size small --batch-size 16 --lines 2 --pitch-often 4 \
  --masked-share 0.7 --random-share 0.2 --warmup 200 "$@"
