"""How fast pre-training runs, how near to the machine's limit, and beside MidiBERT-Piano's network.

    python benchmarks/train.py [--data DIR] [--sizes tiny,small,base] [--steps 24] [--objectives mbam,smm,smc,ground]
        [--joint] [--warm 3] [--trace FILE]

For every size: notes and passages per second of the real training loop (data loading included), the share of time that
it waits for data, the share of tokens that are padding where notes and image are read together, floating-point
operations as torch counts them in one step, and their rate as a share of what the machine reaches in matrix
multiplications (2048 x 2048, on a GPU 8192 x 8192, in the precision of the run, measured in the same run). Peak memory
is that of the process, so sizes are measured from small to large.

The peer is the network that MidiBERT-Piano describes (Chou et al., arXiv:2107.05223: BERT with 12 layers, compound
words of four attributes, 512 notes, 15 % of the notes masked, batches of 12; its width is that of `base`), made of
Hugging Face's BERT classes with the attention that is faster for them (plain on a CPU), on made-up notes that lie in
memory; with the width of each of our sizes. It is timed in 32 bits, as its public code trains it, and given the
precision of ours. A ratio above one says that ours reads more notes a second.
Each size is timed twice: with all objectives, in which every passage is read four times and its picture three times;
and on notes alone with masked modeling alone, the peer's own task. The peer is left out where transformers is not
installed, and where several processes share the batches, which the benchmark may be started as:

    torchrun --nproc-per-node 2 benchmarks/train.py ...

Notes, operations, memory and the limit are then sums over the processes, each of which measures its limit while the
others do.
Prints a table and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

from scoresim.benchmark.midibert import LONGEST, CompoundBert
from scoresim.data.batches import Batch, Passages
from scoresim.model.layers import of_like_length, room_for
from scoresim.model.precision import use_bf16
from scoresim.model.sim import SIZES
from scoresim.training.config import PretrainConfig
from scoresim.training.feed import Fed
from scoresim.training.loop import make_optimiser, take_step
from scoresim.training.pretrain import (
    compile_blocks,
    make_model,
    make_objectives,
    open_training_split,
    rows_of,
    train_config,
)
from scoresim.training.world import World, joined

SIDE, CUDA_SIDE = 2048, 8192  # of the matrices of the ceiling
COMPOUND = (4, 18, 88, 66)  # values of bar, position, pitch and duration in MidiBERT-Piano's compound words
BATCH, MASKED = 12, 0.15
ALONE = 6  # times as many passages where notes are read alone: about as many notes a step as the peer's
TRACED = 3  # steps after the timed ones


@dataclass
class Speed:
    """What one network reached over the timed steps: of ours, whose batches differ, all of them together."""

    name: str
    parameters: int
    notes: float
    passages: float
    seconds: float
    waits: float
    padding: float
    flops: float
    memory: float


def ceiling(device: torch.device, bf16: bool) -> float:
    """Floating-point operations per second of matrix multiplications, the best of several."""
    kind, side = torch.bfloat16 if bf16 else torch.float32, CUDA_SIDE if device.type == "cuda" else SIDE
    a, b = torch.randn(side, side, device=device, dtype=kind), torch.randn(side, side, device=device, dtype=kind)
    best = float("inf")
    for _ in range(8):
        begun = time.perf_counter()
        (a @ b)[0, 0].item()
        best = min(best, time.perf_counter() - begun)
    return 2 * side**3 / best


def memory(device: torch.device) -> float:
    """Largest memory so far in MB: of the device, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(size: str, data: Path, asked: argparse.Namespace, alone: bool, world: World) -> Speed:
    """The real step on real batches; with `alone`, masked modeling of notes and nothing else."""
    part = (world.rank, world.size)
    config = PretrainConfig(
        size=size,  # type: ignore[arg-type]
        objectives=("mbam",) if alone else tuple(asked.objectives.split(",")),
        inputs="notes" if alone else "both",
        steps=1000,
        batch_size=asked.batch_size * (ALONE if alone else 1),
        precision=asked.precision,
        workers=asked.workers,
        recompute=asked.recompute,
    )
    source, vocabulary, _, weight = open_training_split(data)
    batches = Passages(source, rows_of(config), weight=weight, vocabulary=None if alone else vocabulary, part=part)
    settings = train_config(config, 1000)
    model, objectives = make_model(config, vocabulary).to(settings.device).train(), make_objectives(config)
    optimiser = make_optimiser(model, settings)
    again = Passages(source, rows_of(config), weight=weight, vocabulary=batches.vocabulary, part=part)  # its own cache
    with FlopCounterMode(display=False) as counter:  # of the batches to be timed, and of blocks not compiled yet
        for step in range(asked.warm, asked.warm + asked.steps):
            take_step(model, objectives, again.batch(0, step).to(settings.device), optimiser, settings, step)
    del again
    if asked.compile:
        compile_blocks(model)
    if settings.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    fed = Fed(batches, config.workers, settings.device == "cuda") if config.workers else batches
    stream = fed.stream(0, 0)
    times, waits, notes, tokens, room = [], [], 0, 0, 0
    for step in range(asked.warm + asked.steps):
        begun = time.perf_counter()
        batch = next(stream).to(settings.device)
        ready = time.perf_counter()
        take_step(model, objectives, batch, optimiser, settings, step)  # ends with numbers on the host
        if step >= asked.warm:
            times.append(time.perf_counter() - begun)
            waits.append(ready - begun)
            notes += int(batch.notes.mask.sum())
            tokens, room = tokens + held(batch, alone)[0], room + held(batch, alone)[1]
    if asked.trace:
        with profile() as seen:
            for step in range(asked.warm + asked.steps, asked.warm + asked.steps + TRACED):
                take_step(model, objectives, next(stream).to(settings.device), optimiser, settings, step)
        if world.first:
            seen.export_chrome_trace(str(asked.trace))
    stream.close()
    seconds = sum(times)
    mine = {"notes": float(notes), "tokens": float(tokens), "room": float(room), "flops": counter.get_total_flops()}
    whole = world.summed(mine | {"memory": memory(torch.device(settings.device)), "waits": sum(waits) / world.size})
    return Speed(
        f"{size}, notes alone" if alone else size,
        sum(p.numel() for p in model.parameters()),
        whole["notes"] / seconds,
        asked.steps * config.batch_size / seconds,
        seconds / asked.steps,
        whole["waits"] / seconds,
        1 - whole["tokens"] / whole["room"],
        whole["flops"] / seconds,
        whole["memory"],
    )


def held(batch: Batch, alone: bool) -> tuple[int, int]:
    """Tokens of a reading, and the room that they take after the padding that no row needs was cut off."""
    mask = torch.cat([torch.ones_like(batch.notes.mask[:, :1]), batch.notes.mask], dim=1)
    if not alone:
        mask = torch.cat([mask, batch.image.mask], dim=1)
    kept = mask.sum(1)
    groups = [kept[rows] for rows in of_like_length(mask)]
    return int(kept.sum()), sum(len(group) * room_for(int(group.max()), mask.device) for group in groups)


class MaskedBert(nn.Module):
    """MidiBERT-Piano as it is pre-trained: its body, and a classifier of each of four attributes."""

    def __init__(self, width: int, layers: int, heads: int, plain: bool) -> None:
        super().__init__()
        sizes = [count + 2 for count in COMPOUND]  # and padding and mask
        self.body = CompoundBert(tuple(sizes), width, layers, heads, plain)
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def forward(self, words: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """words [B, N, 4] and [B, N] True where a note is to be guessed -> the loss."""
        shown = torch.where(hidden[..., None], torch.tensor([c + 1 for c in COMPOUND], device=words.device), words)
        states = self.body(shown)[hidden]
        losses = [F.cross_entropy(head(states).float(), words[hidden][:, i]) for i, head in enumerate(self.heads)]
        return torch.stack(losses).sum()


def peer(name: str, shape: tuple[int, int, int], steps: int, device: torch.device, bf16: bool) -> Speed:
    """MidiBERT-Piano's step: masked notes of made-up music, AdamW."""
    torch.manual_seed(0)
    model = MaskedBert(*shape, plain=device.type == "cpu").to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
    words = torch.stack([torch.randint(0, count, (BATCH, LONGEST)) for count in COMPOUND], dim=-1).to(device)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = model(words, torch.rand(BATCH, LONGEST, device=device) < MASKED)
        loss.backward()
        optimiser.step()
        loss.item()

    with FlopCounterMode(display=False) as counter:
        step()
    times = []
    for _ in range(max(steps // 6, 2)):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    seconds = statistics.median(times)
    count = sum(p.numel() for p in model.parameters())
    rates = (BATCH * LONGEST / seconds, BATCH / seconds, seconds, 0.0, 0.0, counter.get_total_flops() / seconds)
    return Speed(name, count, *rates, memory(device))


def times(found: list[Speed], peers: list[Speed]) -> dict[str, float]:
    """Notes per second of each of ours, two of a size, in those of the peer of that size."""
    same_width = [p for p in peers for _ in range(2)]
    return {s.name: round(s.notes / p.notes, 2) for s, p in zip(found, same_width, strict=False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("synthetic"), help="a data set; made-up passages without it")
    parser.add_argument("--sizes", default="tiny,small,base")
    parser.add_argument("--steps", type=int, default=24, help="timed steps; the peer does a sixth of them")
    parser.add_argument("--warm", type=int, default=3, help="steps before these; a GPU wants 20, of all lengths")
    parser.add_argument("--objectives", default="mbam,smc,smm,ground")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0, help="processes that make the batches; 0 is a thread")
    parser.add_argument("--compile", action="store_true", help="compile the blocks")
    parser.add_argument("--recompute", action="store_true", help="compute blocks anew in the backward pass")
    parser.add_argument("--joint", action="store_true", help="all objectives alone: a quick look at utilization")
    parser.add_argument("--trace", type=Path, help="file (.json.gz) for a trace of three more steps of the last size")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    asked = parser.parse_args()
    settings = train_config(PretrainConfig(steps=1, precision=asked.precision), 1)
    with joined(cuda=settings.device == "cuda") as world:
        measure(asked, torch.device(settings.device), world)


def measure(asked: argparse.Namespace, device: torch.device, world: World) -> None:
    """Everything asked for, as one of the processes of a world; the first one prints."""
    bf16 = use_bf16(asked.precision, device)
    limit = float(world.total(torch.tensor(ceiling(device, bf16))))
    sizes = asked.sizes.split(",")
    found = []
    for size in sizes:
        for alone in (True, False)[int(asked.joint) :]:
            found.append(ours(size, asked.data, asked, alone, world))
            if world.first:
                print(f"{found[-1].name}: {found[-1].flops / limit:.1%} of the limit", file=sys.stderr, flush=True)
    peers: list[Speed] = []
    if not world.first:
        return
    if world.size > 1:
        print(f"{world.size} processes: no peer, which knows of one", file=sys.stderr)
    elif asked.joint:
        print("with --joint notes alone are left out, and the peers, which read nothing else", file=sys.stderr)
    elif find_spec("transformers") is None:
        print("transformers is not installed: no peer (pip install 'transformers>=4.50')", file=sys.stderr)
    else:
        shapes = [(SIZES[size].width, 12, SIZES[size].heads) for size in sizes]
        for kind in dict.fromkeys((bf16, False)):
            bits = "" if kind == bf16 else ", 32 bits"
            peers += [peer(f"MidiBERT, width {shape[0]}{bits}", shape, asked.steps, device, kind) for shape in shapes]
    heads = ("M param.", "notes/s", "pass./s", "s/step", "waits", "padding", "of limit", "MB")
    print(f"{'':32}" + "".join(f"{head:>10}" for head in heads))
    for s in (*found, *peers):
        cells = f"{s.parameters / 1e6:10.1f}{s.notes:10.0f}{s.passages:10.1f}{s.seconds:10.3f}"
        print(f"{s.name:32}{cells}{s.waits:10.1%}{s.padding:10.1%}{s.flops / limit:10.1%}{s.memory:10.0f}")
    kinds = [peers[i : i + len(sizes)] for i in range(0, len(peers), len(sizes))]
    given, published = (kinds[0], kinds[-1]) if kinds else ([], [])
    ratios, ratios_published = times(found, given), times(found, published)
    print(f"matrix multiplications: {limit / 1e9:.0f} GFLOP/s in {'bf16' if bf16 else 'fp32'}")
    print(f"notes per second, times the peer's of the same width: {ratios_published}")
    print(f"... that is given the precision of ours: {ratios}")
    out: dict[str, Any] = {"benchmark": "train", "device": str(device), "bf16": bf16, "cpus": os.cpu_count()}
    out |= {"processes": world.size, "limit_gflops": round(limit / 1e9, 1), "times_midibert": ratios}
    out |= {"times_midibert_in_32_bits": ratios_published}
    out["rows"] = [vars(s) | {"share_of_limit": round(s.flops / limit, 4)} for s in (*found, *peers)]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
