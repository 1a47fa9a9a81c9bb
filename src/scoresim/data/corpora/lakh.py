"""The Lakh MIDI dataset, the part matched to the Million Song Dataset (LMD-matched).

Layout: ``lmd_matched/A/B/C/TRABC.../md5.mid``, one folder per track, and ``match_scores.json`` (track -> md5 ->
score of the match), which may lie beside ``lmd_matched``. One MIDI file may be matched to several tracks: it is
listed once, under the track of its best score, and all tracks that share a file are one work.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item
from scoresim.errors import BadInput

_STYLE = "pop band"


def _find(path: Path | None) -> Path | None:
    found = _labels.finder("lakh", "lmd_matched")(path)
    if found is not None:
        return found
    # the folder of the tracks itself
    inner = _labels.finder("lmd_matched", "A")(path)
    return inner if inner is None or inner.name != "lmd_matched" else inner.parent


def _items(root: Path) -> Iterator[Item]:
    scores = _scores(root)
    folder = root / "lmd_matched" if (root / "lmd_matched").is_dir() else root
    places: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*/*/TR*/*.mid")):
        places.setdefault(path.stem, []).append(path)
    works = _works(places)
    for md5, paths in places.items():
        # ties go to the first track in the order of names
        best = max(paths, key=lambda path: scores.get(path.parent.name, {}).get(md5, 0.0))
        track = best.parent.name
        score = scores.get(track, {}).get(md5)
        yield Item(
            id=f"{track}/{md5}",
            path=best,
            format="midi",
            work=f"lakh/{works[track].lower()}",
            style=_STYLE,
            composer="unknown",
            title=track,
            labels={"track": track} | ({} if score is None else {"match_score": f"{score:.4f}"}),
        )


def _works(places: dict[str, list[Path]]) -> dict[str, str]:
    """Track -> the first of all tracks that are joined to it by common files."""
    parent: dict[str, str] = {}

    def first(track: str) -> str:
        while parent.setdefault(track, track) != track:
            parent[track] = parent[parent[track]]
            track = parent[track]
        return track

    for paths in places.values():
        tracks = sorted(first(path.parent.name) for path in paths)
        for track in tracks[1:]:
            parent[track] = tracks[0]
    return {track: first(track) for track in list(parent)}


def _scores(root: Path) -> dict[str, dict[str, float]]:
    path = root / "match_scores.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); fetch it again, or move it away to do without.") from error
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise BadInput(f"{path} is no table of match scores; fetch it again, or move it away to do without.")
    return found


CORPUS = Corpus(
    name="lakh",
    title="Lakh MIDI dataset, matched to songs (MIDI)",
    citation=(
        "Colin Raffel: Learning-based methods for comparing sequences, with applications to audio-to-MIDI alignment "
        "and matching. PhD thesis, Columbia University, 2016."
    ),
    licence="CC BY 4.0 for the compilation; the songs are under copyright.",
    source="https://colinraffel.com/projects/lmd/, lmd_matched.tar.gz and match_scores.json, unpacked",
    styles=(_STYLE,),
    find=_find,
    items=_items,
)
