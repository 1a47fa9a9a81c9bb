"""Commands that make and check data sets: corpora, build, verify, card, pack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from scoresim.cli.output import Json, results_only, show_json, show_mapping, show_table
from scoresim.data.config import BuildConfig, PackConfig
from scoresim.errors import CheckFailed

__all__ = ["build", "card", "corpora", "pack", "verify"]

DataSet = Annotated[str, Parameter(help="Folder or address of a data set that scoresim build wrote.")]


def _option(field: str) -> str:
    """The option of a configuration field: ``--corpus NAME`` is given once for each of the corpora."""
    return "corpus" if field == "corpora" else field.replace("_", "-")


def corpora(*, json: Json = False) -> None:
    """List the known sources of scores and say which are present.

    A source is one module of scoresim.data.corpora with its citation and licence. "present" says whether its
    files were found in their usual place; any source can be read from elsewhere with: scoresim build --corpus
    NAME=PATH.
    """
    from scoresim.data import corpora as sources

    rows: list[dict[str, object]] = []
    for name in sources.names():
        corpus = sources.get(name)
        root = corpus.find(None)
        items = [] if root is None else list(corpus.items(root))
        rows.append(
            {
                "name": name,
                "title": corpus.title,
                "present": root is not None,
                "files": len(items),
                "works": len({item.work for item in items}),
                "styles": list(corpus.styles),
                "licence": corpus.licence,
                "citation": corpus.citation,
                "source": corpus.source,
            }
        )
    if json:
        show_json({"corpora": rows})
    else:
        columns = ("name", "present", "works", "files", "styles", "licence", "title")
        show_table("", columns, [[row[column] for column in columns] for row in rows])


def build(
    out: Annotated[
        str,
        Parameter(
            help="Folder for the data set, or its address (s3://BUCKET/FOLDER, with the extra s3); a build that was "
            "stopped goes on there."
        ),
    ],
    /,
    *,
    config: Annotated[BuildConfig, Parameter(name="*", name_transform=_option, negative_bool="no-")],
    json: Json = False,
) -> None:
    """Turn scores into verified pairs of image and notes, split by work.

    A file that cannot be read costs that file only: it is named with its reason in the data set's quarantine
    list. A data set without any pair is exit code 1.
    """
    from scoresim.data import build as step

    with results_only():
        manifest = step.build(out, config)
    quarantine, rejected = manifest["quarantine"], sum(manifest["rejected"].values())
    pairs = manifest["pairs"]
    if json:
        show_json(manifest)
    else:
        for entry in quarantine:
            print(f"quarantine: {entry['file']} ({entry['item']}): {entry['reason']}")
        parts = ", ".join(f"{count} {split}" for split, count in pairs.items())
        print(f"{out}: {sum(pairs.values())} pairs ({parts}) from {manifest['items']} files or tunes;")
        print(f"{rejected} passages rejected, {len(quarantine)} in quarantine.")
    if not sum(pairs.values()):
        raise CheckFailed(
            f"{out} holds no pair: {rejected} passages were rejected, {len(quarantine)} files or tunes are "
            "in quarantine; its manifest.json says why, and how many for each reason."
        )


def verify(
    data: DataSet,
    /,
    *,
    workers: Annotated[int, Parameter(help="Number of worker processes.")] = 2,
    json: Json = False,
) -> None:
    """Check a data set again: checksums, agreement of image and notes, disjoint splits.

    Leaves with exit code 1 when something is off, and says what.
    """
    from scoresim.data import verify as step

    with results_only():
        problems = step.verify(data, max(workers, 1))
    if json:
        show_json({"data": str(data), "ok": not problems, "problems": problems})
    else:
        print("\n".join(problems) if problems else f"{data}: all checks passed.")
    if problems:
        some = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise CheckFailed(f"{data} has {some}, the first: {problems[0]}")


def pack(
    data: DataSet,
    out: Annotated[str, Parameter(help="Folder for the packed data set; a packing that was stopped goes on there.")],
    /,
    *,
    config: Annotated[PackConfig | None, Parameter(name="*")] = None,
    json: Json = False,
) -> None:
    """Pack a data set for fast training: pictures cut to staves and scaled, once and for all.

    scoresim pretrain takes the packed data set in the place of the other. On one GPU and up this is needed to keep it
    busy.
    """
    from scoresim.data.packed import pack as step

    with results_only():
        manifest = step(data, out, config or PackConfig())
    if json:
        show_json(manifest)
        return
    rows = {part: sum(shard["rows"] for shard in shards) for part, shards in manifest["shards"].items()}
    size = sum(shard["bytes"] for shards in manifest["shards"].values() for shard in shards)
    print(f"{out}: {', '.join(f'{count} rows of {part}' for part, count in rows.items())}, {size / 1e6:.0f} MB.")


def card(
    data: DataSet,
    /,
    *,
    out: Annotated[
        Path | None,
        Parameter(
            help="Folder for the card as a page (README.md and its plots); made when missing. A data hub reads it in "
            "the folder of the data set itself; elsewhere it points from there to the shards."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the data card of a data set: sources and licences, counts, splits, harmonization, what was left out and why.

    With --out it is also written as a page in the form of a Hugging Face data card, with plots.
    """
    from scoresim.data import card as step

    with results_only():
        facts = step.card(data)
        if out is not None:
            step.write_card(data, out)
    if json:
        show_json(facts)
        return
    _show_card(facts)
    if out is not None:
        print(f"\nThe card is in {out / 'README.md'}.")


def _show_card(facts: Mapping[str, Any]) -> None:
    """The card for a person: tables of styles and sources, then what was left out and why."""
    splits = list(facts["pairs"])
    for title, table in (("styles", facts["styles"]), ("sources", facts["corpora"])):
        rows = [
            [name, *(counts[split][kind] for kind in ("works", "pairs") for split in splits)]
            for name, counts in table.items()
        ]
        total = ["all", *(facts[kind][split] for kind in ("works", "pairs") for split in splits)]
        columns = [title, *(f"{kind}: {split}" for kind in ("works", "pairs") for split in splits)]
        show_table("", columns, [*rows, total])
        print()
    left_out = {
        "rejected passages": [[count, reason] for reason, count in facts["rejected"].items()],
        "quarantine": [[entry["item"], entry["reason"]] for entry in facts["quarantine"]],
    }
    for title, rows in left_out.items():
        show_table("", [title, "reason"], rows or [["none", ""]])
        print()
    for source in facts["sources"]:
        print(f"{source['name']}: {source['title']}. {source['licence']}")
    counts = {name: facts[name] for name in ("notes", "bars", "staves", "passages", "accepted", "items", "tools")}
    print()
    show_mapping(counts)
