#!/bin/sh
# The figures of docs/exactness.md, docs/duplicates.md, docs/notation.md, docs/scale.md and of the data sets in README.md.
#
#   sh runs/measure_data.sh [DATA] [OUT] [NAME ...]
#
# Runs the benchmarks one after the other and keeps what each prints as OUT/NAME.txt; with names, only those. Then, for
# results/build.json and its table: python docs/make_data_results.py OUT SET, where SET is what runs/all_data.sh built.
# Let nothing else run meanwhile, or the times mean little. About two hours on two cores.
set -eu
DATA=${1:-../shared/data}
OUT=${2:-runs/measured}
shift $(($# < 2 ? $# : 2))
WANTED=${*:-build memory exactness exactness-new yield similar notate notate-others degrade}
mkdir -p "$OUT"

measure() { # NAME COMMAND...
  name=$1
  shift
  case " $WANTED " in *" $name "*) ;; *) return 0 ;; esac
  echo "$name: $*" >&2
  { echo "# $(git rev-parse --short HEAD)"; echo "# $*" | sed "s|$DATA|DATA|g; s|$OUT|OUT|g"; "$@"; } >"$OUT/$name.part"
  mv "$OUT/$name.part" "$OUT/$name.txt"
}

measure build python benchmarks/build.py --repeat 3 --lilypond 4 --workers
measure memory python benchmarks/build.py --repeat 0 --memory 5000
measure exactness python benchmarks/exactness.py --files 200 --seed 0 --data "$DATA"
measure exactness-new python benchmarks/exactness.py --files 200 --seed 23 --data "$DATA"
measure yield python benchmarks/notated_yield.py --files 300 --seed 1 --data "$DATA"
measure similar python benchmarks/similar.py --data "$DATA" --cache "$OUT/similar-cache"
measure notate python benchmarks/notate.py "$DATA" --half 1
measure notate-others python benchmarks/notate.py "$DATA" --half 1 --baselines --most 400
measure degrade python benchmarks/degrade.py --scans "$DATA/scans"
