"""The text of the data card: front matter that the Hugging Face hub reads, and sections in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from scoresim.data.card import Balance
from scoresim.data.curate import SPLITS

SECTIONS = (
    *("Summary", "Sources", "How it was made", "Exactness", "Splits", "Harmonization", "Pictures"),
    *("What was left out", "Limits", "Citation"),
)
LICENCES = (  # how a source says it -> the hub's identifier; the first that fits counts
    (r"CC0", "cc0-1.0"),
    (r"CC[ -]BY-NC-SA[ -]4", "cc-by-nc-sa-4.0"),
    (r"CC[ -]BY-NC[ -]4", "cc-by-nc-4.0"),
    (r"CC[ -]BY-SA[ -]4", "cc-by-sa-4.0"),
    (r"CC[ -]BY[ -]4", "cc-by-4.0"),
    (r"\bMIT\b", "mit"),
    (r"Apache", "apache-2.0"),
    (r"BSD", "bsd-3-clause"),
    (r"\bGPL ?v?3|GPL-3", "gpl-3.0"),
)
SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
HUB_SPLITS = {"train": "train", "valid": "validation", "test": "test"}
MERGED = 20  # merged works that the card names
LEFT_APART = 5  # works left apart that it names


def hub_licence(words: str) -> str:
    """The hub's identifier of a licence given in words; "other" where none fits or several do not agree."""
    if re.match(r"(?i)none stated|differs", words):
        return "other"  # what is named then is another's licence, or that of some of the files
    found = [name for pattern, name in LICENCES if re.search(pattern, words)]
    return found[0] if len(found) == 1 else "other"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; bars and line breaks in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    cells = [[re.sub(r"\s+", " ", str(cell)).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def card_text(facts: dict[str, Any], measured: Balance | None, pictures: Sequence[str], shards: str = "") -> str:
    """The whole card.

    Args:
        facts: what `card` counted.
        measured: what the weights do; None for an empty training part.
        pictures: names of the pictures beside the card.
        shards: the way from the card to the folder of the shards, as "../set"; empty where they stand beside it, as
            the hub wants them.
    """
    bodies = [
        _summary(facts),
        _sources(facts),
        _made(facts),
        _exactness(facts),
        _splits(facts),
        _harmonization(facts, measured),
        _pictures(facts),
        _left_out(facts),
        _limits(facts),
        _citation(facts),
    ]
    shown = {
        "Splits": [("passages.png", "Pairs by corpus and part")],
        "Harmonization": [
            ("styles.png", "Styles before and after"),
            ("complexity.png", "Complexity by style before and after"),
        ],
        "Pictures": [
            ("images.png", "Staff sizes, fonts and degradation"),
            ("examples.png", "Pairs with the boxes of their bars (blue) and note heads (red)"),
        ],
        "What was left out": [("quarantine.png", "Items in quarantine by reason")],
    }
    parts = [_front_matter(facts, shards), "# Matched score images and notes"]
    for title, body in zip(SECTIONS, bodies, strict=True):
        images = [f"![{alt}]({name})" for name, alt in shown.get(title, []) if name in pictures]
        parts.append("\n\n".join([f"## {title}", body, *images]))
    return "\n\n".join(parts) + "\n"


def _front_matter(facts: dict[str, Any], shards: str) -> str:
    """YAML between lines of dashes; strings are written as JSON, which YAML contains."""
    total, way = sum(facts["pairs"].values()), f"{shards}/" if shards else ""
    size = next((name for most, name in SIZES if total < most), "n>10M")
    licences = sorted({hub_licence(source["licence"]) for source in facts["sources"]})
    lines = ["---", f"pretty_name: {json.dumps('scoresim: matched score images and notes')}", "license:"]
    lines += [f"- {name}" for name in licences]
    lines += ["task_categories:", "- image-feature-extraction", "- feature-extraction", "- other"]
    lines += ["size_categories:", f"- {size}", "tags:"]
    lines += [f"- {tag}" for tag in ("music", "sheet-music", "midi", "symbolic-music", "image", "parquet")]
    lines += ["configs:", "- config_name: default", "  data_files:"]
    for split in SPLITS:
        if facts["pairs"].get(split):
            lines += [f"  - split: {HUB_SPLITS[split]}", f"    path: {json.dumps(f'{way}{split}-*.parquet')}"]
    return "\n".join([*lines, "---"])


def _summary(facts: dict[str, Any]) -> str:
    total = sum(facts["pairs"].values())
    works, notes, bars = (sum(facts[name].values()) for name in ("works", "notes", "bars"))
    return (
        f"{total:,} pairs of a score image and the notes on it, from {works:,} works in {len(facts['corpora'])} "
        f"corpora: {bars:,} bars, {notes:,} notes, {len(facts['styles'])} styles. A pair is a passage of whole bars "
        "on one or two systems: a grey PNG with the boxes of its bars, staves and note heads in pixels, and its notes "
        "with exact onset, duration, spelled pitch, staff and voice. Which head is which note is known for every "
        "head. There is no natural language in it: titles, names and lyrics are not drawn unless the configuration "
        "below says so."
    )


def _sources(facts: dict[str, Any]) -> str:
    rows = []
    for source in facts["sources"]:
        name = source["name"]
        made = facts["items_by_corpus"].get(name, {})
        parts = facts["corpora"].get(name, {}).values()
        rows.append(
            [
                *(name, source["title"], source["licence"], source.get("items_found", "")),
                *(made.get("items", ""), made.get("with_pairs", "")),
                *(sum(part["works"] for part in parts), sum(part["pairs"] for part in parts)),
            ]
        )
    header = ("corpus", "title", "licence as the source says", "files found", "used", "with pairs", "works", "pairs")
    return table(header, rows) + "\n\nEvery source keeps its own licence; the strictest one binds a use of the whole."


def _made(facts: dict[str, Any]) -> str:
    tools = ", ".join(f"{name} {version}" for name, version in facts["tools"].items())
    shown = facts["config"] | {"corpora": [entry.partition("=")[0] for entry in facts["config"].get("corpora", [])]}
    settings = table(("setting", "value"), [(key, json.dumps(value)) for key, value in shown.items()])
    steps = (
        "Each file is engraved by verovio in a worker process. Notes come from the engraver's MEI in exact fractions "
        "of a quarter note, pictures and boxes from its SVG; identifiers join the two. MIDI files are first written as "
        "notation. Passages are whole systems, or two short ones."
    )
    time = f" It took {facts['seconds']:,} seconds." if facts.get("seconds") else ""
    return f"{steps} Made with {tools}.{time}\n\n{settings}"


def _exactness(facts: dict[str, Any]) -> str:
    rows = list(facts["rejected"].items())
    share = f"{100 * facts['accepted']:.1f} %"
    text = (
        "A passage is a pair only when every drawn note head belongs to a note, every note has a head, and every head "
        f"stands at the height of its spelled pitch. {share} of {facts['passages']:,} passages were kept; the others:"
    )
    return text + "\n\n" + table(("reason", "passages"), rows or [["none", 0]])


def _splits(facts: dict[str, Any]) -> str:
    rows: list[list[object]] = [
        [split, facts["works"].get(split, 0), facts["pairs"].get(split, 0), facts["bars"][split], facts["notes"][split]]
        for split in SPLITS
    ]
    text = table(("part", "works", "pairs", "bars", "notes"), rows)
    text += (
        "\n\nA work stands in one part only, whatever corpus its copies are in. Where a source has an official split, "
        "its works keep it."
    )
    official = {name: n for name, n in facts["official_splits"].items() if name}
    if official:
        text += f" Pairs with an official split: {', '.join(f'{n:,} {name}' for name, n in official.items())}."
    return text + _same_music(facts["groups"])


def _same_music(groups: dict[str, Any]) -> str:
    """Which works were found to hold the same music, and what came of it."""
    merged, apart = groups.get("merged_works", []), groups.get("left_apart", [])
    works = {work for a, b, _ in merged for work in (a, b)}
    text = (
        f" Near-duplicates by content: {groups.get('pairs', 0):,} pairs of items, by which {len(merged):,} "
        f"pairs of works of different names ({len(works):,} works) were put into one part."
    )
    if merged:
        text += f" The {min(len(merged), MERGED)} most alike:\n\n{_most_alike(merged, MERGED)}"
    if apart:
        text += (
            f"\n\nAnother {len(apart):,} pairs of works share some music and may still stand in different parts, since "
            "chains of weak likenesses would join half a corpus; what they share note by note is left out of training. "
            f"The {min(len(apart), LEFT_APART)} most alike:\n\n{_most_alike(apart, LEFT_APART)}"
        )
    return text


def _most_alike(pairs: Sequence[tuple[str, str, float]], most: int) -> str:
    """A table of the pairs of works with the largest shares."""
    top = sorted(pairs, key=lambda row: -row[2])[:most]
    return table(("work", "same music as", "share of the shorter"), [(a, b, f"{share:.2f}") for a, b, share in top])


def _harmonization(facts: dict[str, Any], measured: Balance | None) -> str:
    if measured is None:
        return "The training part is empty."
    said = facts["harmonization"]
    text = (
        "The pairs are stored once; `sampling.parquet` says how often each is drawn. Style balance T = "
        f"{said.get('style_balance', 'unknown')} (a style of n pairs is drawn in proportion to n^(1-T)), complexity "
        f"balance {said.get('complexity_balance', 'unknown')}. Distance of the styles from equal shares in the "
        f"training part: total variation {measured.total_variation[0]:.3f} before, "
        f"{measured.total_variation[1]:.3f} after; Jensen-Shannon {measured.jensen_shannon[0]:.3f} "
        f"before, {measured.jensen_shannon[1]:.3f} after."
    )
    rows = []
    for i, name in enumerate(measured.names):
        near = [measured.distances[name, m] for m in ("density", "pitch_range", "variety", "level")]
        rows.append(
            [name, f"{100 * measured.before[i]:.1f} %", f"{100 * measured.after[i]:.1f} %"]
            + [f"{before:.2f} → {after:.2f}" for before, after in near]
        )
    header = ("style", "before", "after", "density", "pitch range", "variety", "complexity")
    note = (
        "The last four columns are Wasserstein distances, before → after, from the target: the range from the style's "
        "least to its greatest value evenly filled. The scale is that of quantiles over all styles, 0 to 1, of density "
        "(notes per quarter note), pitch range (semitones) and rhythmic variety (bits); complexity is the mean of the "
        "three, and the one that is balanced."
    )
    return f"{text}\n\n{table(header, rows)}\n\n{note}"


def _pictures(facts: dict[str, Any]) -> str:
    names = {"staff_space": "staff space in pixels", "font": "music font", "degraded": "degradation"}
    rows = [[names[key], ", ".join(f"{v}: {n:,}" for v, n in facts["images"][key].items())] for key in names]
    rows.append(["staves", ", ".join(f"{v}: {n:,}" for v, n in facts["staves"].items())])
    rows.append(["format of the source", ", ".join(f"{v}: {n:,}" for v, n in facts["formats"].items())])
    rows.append(["notation by", ", ".join(f"{v}: {n:,}" for v, n in facts["notation"].items())])
    if facts["beats"]:
        rows.append(["beats of notation by machine", ", ".join(f"{v}: {n:,}" for v, n in facts["beats"].items())])
    return table(("property", "pairs"), rows)


def _left_out(facts: dict[str, Any]) -> str:
    rows = [
        [row["reason"], row["format"], row["items"], ", ".join(f"{c}: {n}" for c, n in row["corpora"].items())]
        for row in facts["reasons"]
    ]
    text = (
        f"{len(facts['quarantine']):,} of {facts['items']:,} files or tunes are in quarantine; the manifest names each "
        "with its reason. Names and numbers are taken out of the reasons here (N is a number)."
    )
    text += "\n\n" + table(("reason", "format", "items", "corpora"), rows or [["none", "", 0, ""]])
    by_corpus = facts["items_by_corpus"]
    notated = [entry for entry in by_corpus.values() if "midi" not in entry["formats"]]
    names = ("items", "with_pairs", "pairs", "notes", "accidentals")
    whole = {name: sum(entry.get(name, 0) for entry in notated) for name in names} | {"formats": {}}
    made = [
        [
            *(name, ", ".join(f"{f}: {n}" for f, n in entry["formats"].items()), entry["items"], entry["with_pairs"]),
            f"{100 * entry['with_pairs'] / max(entry['items'], 1):.1f} %",
            *(f"{entry.get(count, 0):,}" for count in ("notes", "accidentals")),
        ]
        for name, entry in [*by_corpus.items(), *([("all without MIDI", whole)] if len(notated) > 1 else [])]
    ]
    heads = ("corpus", "formats", "items", "with pairs", "share", "notes", "accidentals added")
    remark = (
        "\n\n*accidentals added*: notes whose accidental the file states as a sound only; it is drawn, so that "
        "picture and notes agree."
    )
    return text + ("\n\n" + table(heads, made) + remark if made else "")


def _limits(facts: dict[str, Any]) -> str:
    engraved = "All pictures are engraved by one program"
    degraded = [name for name in facts["images"]["degraded"] if name not in ("", "none")]
    engraved += f", some made to look like a {' or a '.join(sorted(degraded))}" if degraded else ""
    written = facts["notation"].get("machine", 0)
    limits = [
        f"{engraved}; no picture is a photograph of a printed page.",
        f"The notation of {written:,} pairs was made from MIDI by a program and is not the composer's.",
        (
            "Near-duplicates are found by their top line: pieces of fewer than about 20 notes, and arrangements with "
            "another top voice, are not."
        ),
        "A work is known by its name within its source; two names of one work meet only when their music does.",
        "Styles are what the sources say, and follow the sources: a model can tell some of them by their corpus.",
    ]
    return "\n".join(f"- {limit}" for limit in limits)


def _citation(facts: dict[str, Any]) -> str:
    lines = [f"- {source['name']}: {source['citation']}" for source in facts["sources"]]
    return "Cite the sources that you use, and the engraver (verovio, LGPL-3.0):\n\n" + "\n".join(lines)
