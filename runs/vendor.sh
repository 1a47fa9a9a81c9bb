#!/bin/sh
# Fetches the programs of others that a report needs in the browser, in exact versions, and writes them with their
# licences into src/scoresim/web/static/vendor. Needs npm and the network, and the text of
# verovio's licence from .venv (make setup), as its npm package only names it:  sh runs/vendor.sh
#
# What is fetched and what is written has to have the checksums of the lists below and of vendor/SHA256SUMS
# (of the unpacked programs: a .gz is only how they are kept).
set -eu
cd "$(dirname "$0")/.."
out=$PWD/src/scoresim/web/static/vendor
licences=$(echo "$PWD"/.venv/lib/python3*/site-packages/verovio-*.dist-info/licenses)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm pack --silent verovio@6.3.0 webaudio-tinysynth@1.1.3 >&2
sha256sum -c - <<'SUMS'
503fa08873eea0b49208bed2450835603c49835abf0faacca5357bb9a9ca0a41  verovio-6.3.0.tgz
e9f154131b55cadda7a5919ef8a88f2a53be189448d45e7de897dd4992095e47  webaudio-tinysynth-1.1.3.tgz
SUMS
for name in verovio-6.3.0 webaudio-tinysynth-1.1.3; do
  mkdir "$name" && tar xzf "$name.tgz" -C "$name" --strip-components 1
done

gzip -9nc verovio-6.3.0/dist/verovio-toolkit-wasm.js >"$out/verovio-toolkit-wasm.js.gz"
cp webaudio-tinysynth-1.1.3/webaudio-tinysynth.min.js "$out/webaudio-tinysynth.min.js"
cp webaudio-tinysynth-1.1.3/LICENSE "$out/webaudio-tinysynth.LICENSE"
cp "$licences/COPYING" "$out/verovio.COPYING"
cp "$licences/COPYING.LESSER" "$out/verovio.COPYING.LESSER"

cd "$out"
for name in *; do
  case $name in
    SHA256SUMS | NOTICE) ;;
    *.gz) gzip -dc "$name" | sha256sum | sed "s/-$/${name%.gz}/" ;;
    *) sha256sum "$name" ;;
  esac
done >"$work/found"
diff "$work/found" SHA256SUMS
echo "As listed: $out"
