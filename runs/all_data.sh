#!/bin/sh
# The largest data set that can be built from music21's corpus and the public sets that lie in one folder.
#
#   sh runs/all_data.sh [DATA] [OUT] [more options of scoresim build]
#
# DATA holds one folder for each set, named as in docs/corpora.md; a set that is not there is left out with a line.
# Stop it and start it again as you like: it goes on. Then the set is verified and its card is written.
set -eu
DATA=${1:-../shared/data}
OUT=${2:-runs/all}
shift $(($# < 2 ? $# : 2))

MUSIC21="aird_airs bach_chorales essen_folksong folk_misc monteverdi_madrigals music21_demos music21_misc oneill_1850
palestrina_masses quartets ryan_mammoth trecento"
NOTATED="asap kern_beethoven kern_chopin kern_mozart kern_wtc mikrokosmos nottingham openewld openscore_lieder polish_piano"
PLAYED="asap_performances:asap emopia nottingham_midi:nottingham pianist8 pop909 vgmidi"

sources=""
for name in $MUSIC21; do sources="$sources --corpus $name"; done
for entry in $NOTATED $PLAYED; do
  name=${entry%%:*} folder=$DATA/${entry##*:}
  if [ -d "$folder" ]; then sources="$sources --corpus $name=$folder"; else echo "$name: not in $DATA" >&2; fi
done

commit=$(git rev-parse --short HEAD 2>/dev/null || true) # for docs/make_data_results.py
# shellcheck disable=SC2086 - the list is meant to be split
scoresim build "$OUT" $sources --style-balance 0.5 --complexity-balance on "$@"
[ -e "$OUT/commit.txt" ] || echo "$commit" >"$OUT/commit.txt"
scoresim verify "$OUT"
scoresim card "$OUT" --out "$OUT"
