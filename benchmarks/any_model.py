"""Does any model run, and what do 8 bits cost it? Outputs of packed models beside ONNX Runtime's or torch's.

    espeak-ng -w speech.wav "Any text that takes some seconds to say."
    python benchmarks/any_model.py --speech silero_vad.onnx speech.wav
    python benchmarks/any_model.py --files magika.onnx README.md /bin/ls picture.jpg
    python benchmarks/any_model.py --bert all-MiniLM-L6-v2/ --cnn

Each model is packed without loss, then with every weight shared among 256 values, but those that a ``--keep`` pattern names.
``--size`` gives an open dimension by its name, or as INPUT.AXIS. ``--speech`` lets a voice detector listen to a recording, its
state carried from piece to piece; ``--files`` shows files to a detector of file types. ``--bert`` takes a folder in the layout
of transformers and exports it with dynamic batch and sequence; ``--cnn`` builds a residual network in torch.
The error is max|a-b| / max|b| over each output (of a recording, over all its pieces), the worst of all outputs and shapes.
Exit code 1: an error above its bound.
"""

from __future__ import annotations

import argparse
import tempfile
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tersor.converters import from_onnx, from_torch
from tersor.format_spec.graph import Graph, graphs
from tersor.packer import Layer, Recipe, pack
from tersor.packer.weights import find_weights
from tersor.runtime import load

Arrays = Mapping[str, np.ndarray]

RATE, PIECE, CONTEXT = 16_000, 512, 64
"""Samples a second, of a piece, and of the piece before it, as silero-vad takes them."""

BLOCK, SEEN = 4096, 1024
"""Bytes that magika reads at either end of a file, and those of them that it looks at."""


@dataclass(frozen=True)
class Case:
    """A model, the bytes of its dense weights, and what its own framework answers to some inputs."""

    name: str
    graph: Graph
    feeds: Sequence[Arrays]
    answers: Sequence[Sequence[np.ndarray]]
    carried: Mapping[str, str] = field(default_factory=dict)
    """Outputs that become inputs of the next feed; all feeds are then one sequence."""

    @property
    def dense_bytes(self) -> int:
        """Bytes of all tensors as they are."""
        return sum(t.size * t.dtype.itemsize for g in graphs(self.graph) for t in g.initializers.values())


def open_session(path: Path) -> Any:
    """ONNX Runtime on ``path``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answer(session: Any, feed: Arrays) -> list[np.ndarray]:
    """ONNX Runtime's outputs."""
    return [np.asarray(value) for value in session.run(None, feed)]


def onnx_case(path: Path, sizes: Mapping[str, int]) -> Case:
    """An ONNX file and random inputs; ONNX Runtime answers."""
    session = open_session(path)
    rng = np.random.default_rng(0)
    feed: dict[str, np.ndarray] = {}
    for value in session.get_inputs():
        open_sizes = [sizes.get(d, sizes.get(f"{value.name}.{axis}", 1)) for axis, d in enumerate(value.shape)]
        shape = [d if isinstance(d, int) else size for d, size in zip(value.shape, open_sizes, strict=True)]
        element = str(value.type).removeprefix("tensor(").removesuffix(")")
        kind = {"float": "float32", "double": "float64"}.get(element, element)
        array = rng.standard_normal(shape) if "float" in kind else np.full(shape, sizes.get(value.name, 1))
        feed[value.name] = array.astype(kind)
    return Case(path.stem, from_onnx(path), [feed], [answer(session, feed)])


def speech_case(path: Path, recording: Path) -> Case:
    """silero-vad: pieces of 512 samples at 16 kHz behind 64 of the piece before, and the state that the last piece left."""
    with wave.open(str(recording)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise SystemExit(f"{recording}: one channel of 16 bits is expected")
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    count = len(samples) * RATE // rate
    sound = np.interp(np.arange(count) * rate / RATE, np.arange(len(samples)), samples).astype(np.float32)
    sound = np.concatenate([np.zeros(CONTEXT, np.float32), sound])
    session, state = open_session(path), np.zeros((2, 1, 128), np.float32)
    feeds, answers = [], []
    for first in range(0, count - PIECE + 1, PIECE):
        feeds.append({"input": sound[None, first : first + CONTEXT + PIECE], "state": state, "sr": np.array(RATE)})
        answers.append(answer(session, feeds[-1]))
        state = answers[-1][1]
    return Case(path.stem, from_onnx(path), feeds, answers, {"stateN": "state"})


def files_case(path: Path, shown: Sequence[Path]) -> Case:
    """magika: the first and the last 1,024 bytes of a file, white space stripped off its ends, padded with 256."""
    session = open_session(path)
    rows = []
    for file in shown:
        data = file.read_bytes()
        begin, end = data[:BLOCK].lstrip()[:SEEN], data[-BLOCK:].rstrip()[-SEEN:]
        rows.append([*begin, *[256] * (SEEN - len(begin)), *[256] * (SEEN - len(end)), *end])
    feed = {"bytes": np.array(rows, np.int32)}
    return Case(path.parent.name, from_onnx(path), [feed], [answer(session, feed)])


def bert_case(folder: Path) -> Case:
    """A sentence encoder by way of torch, batch and sequence left open."""
    import torch
    from transformers import AutoModel  # pyright: ignore[reportMissingImports]

    encoder = AutoModel.from_pretrained(folder).eval()

    class Encoder(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    module = Encoder()
    module.encoder = encoder
    generator = torch.Generator().manual_seed(0)

    def sample(batch: int, sequence: int) -> tuple[torch.Tensor, torch.Tensor]:
        mask = torch.ones(batch, sequence, dtype=torch.int64)
        mask[0, sequence // 2 :] = 0
        return torch.randint(0, encoder.config.vocab_size, (batch, sequence), generator=generator), mask

    axes = {0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("sequence", min=2, max=256)}
    names = ["input_ids", "attention_mask"]
    graph = from_torch(module, sample(2, 8), input_names=names, dynamic_shapes=dict.fromkeys(names, axes))
    return torch_case(folder.name, module, graph, [sample(*shape) for shape in ((1, 2), (3, 17), (2, 64))])


def cnn_case() -> Case:
    """A residual network with random weights, the batch left open."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1, groups=4),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.silu(x + self.body(x))

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 32, 5, stride=2, padding=2),
        *(Block(32) for _ in range(3)),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(512, 10),
    ).eval()
    graph = from_torch(module, torch.randn(2, 3, 64, 64), input_names=["x"], dynamic_shapes=({0: torch.export.Dim("N")},))
    return torch_case("residual CNN", module, graph, [(torch.randn(n, 3, 64, 64),) for n in (1, 5)])


def torch_case(name: str, module: Any, graph: Graph, samples: Sequence[tuple[Any, ...]]) -> Case:
    """A torch module; torch answers."""
    import torch

    names = [value.name for value in graph.inputs]
    with torch.no_grad():
        answers = [[module(*sample).numpy()] for sample in samples]
    return Case(name, graph, [{n: x.numpy() for n, x in zip(names, s, strict=True)} for s in samples], answers)


def measure(case: Case, recipe: Recipe, path: Path) -> tuple[int, float]:
    """Bytes of the packed file, and the largest relative error of its outputs."""
    pack(case.graph, path, recipe)
    found: list[list[np.ndarray]] = []
    with load(path) as model:
        state: dict[str, np.ndarray] = {}
        for feed in case.feeds:
            outputs = model.run({**feed, **state})
            state = {given: outputs[name] for name, given in case.carried.items()}
            found.append([outputs[value.name] for value in model.outputs])
    pairs = [list(zip(ours, theirs, strict=True)) for ours, theirs in zip(found, case.answers, strict=True)]
    if case.carried:
        whole = zip(zip(*found, strict=True), zip(*case.answers, strict=True), strict=True)
        pairs = [[(np.stack(ours), np.stack(theirs)) for ours, theirs in whole]]
    return path.stat().st_size, max(relative_error(*pair) for feed in pairs for pair in feed)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """max|a-b| / max|b|."""
    apart = np.abs(found.astype(np.float64) - expected).max(initial=0)
    return float(apart / max(np.abs(expected).max(initial=0), np.finfo(np.float32).tiny))


def shared(graph: Graph, bits: int, keep: Sequence[str]) -> Recipe:
    """Every weight shared, tables that are looked up too, but those whose names match a pattern of ``keep``."""
    weights = find_weights(graph)
    tables = {name: part.initializers[name] for (part, name), weight in weights.items() if weight.kind == "table"}
    layer = Layer(bits=bits, init="companding")  # trained weights may have long tails, where evenly spaced values are wasted
    rules = {name: layer for name, t in tables.items() if t.dtype.kind == "f" and t.size >= Recipe().min_size}
    return Recipe(layer, layer, rules | {name: Layer() for _, name in weights if any(fnmatchcase(name, p) for p in keep)})


def cases(arguments: argparse.Namespace) -> Iterator[Callable[[], Case]]:
    """What the command line asks for, built one after the other."""
    sizes = {name: int(size) for name, _, size in (text.rpartition("=") for text in arguments.size)}
    yield from (lambda path=path: onnx_case(path, sizes) for path in arguments.models)
    yield from (lambda pair=pair: speech_case(*pair) for pair in arguments.speech)
    yield from (lambda paths=paths: files_case(paths[0], paths[1:]) for paths in arguments.files)
    yield from (lambda folder=folder: bert_case(folder) for folder in arguments.bert)
    if arguments.cnn:
        yield cnn_case


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--size", action="append", default=[], metavar="DIM=N")
    parser.add_argument("--speech", action="append", default=[], nargs=2, type=Path, metavar=("MODEL.onnx", "WAV"))
    parser.add_argument("--files", action="append", default=[], nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--bert", action="append", default=[], type=Path, metavar="FOLDER")
    parser.add_argument("--cnn", action="store_true")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--keep", action="append", default=[], metavar="PATTERN", help="weights that are not shared")
    parser.add_argument("--bound", type=float, default=1e-4, help="of the lossless error")
    parser.add_argument("--shared-bound", type=float, default=0.05, help="of the error with shared weights")
    arguments = parser.parse_args()
    table = Table("model", "weights", "lossless", "error", f"{arguments.bits} bits", "error")
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        for build in cases(arguments):
            case = build()
            exact = measure(case, Recipe.lossless(), Path(folder, "m.tersor"))
            coarse = measure(case, shared(case.graph, arguments.bits, arguments.keep), Path(folder, "m.tersor"))
            cells = (f"{case.dense_bytes:,}", f"{exact[0]:,}", f"{exact[1]:.1e}", f"{coarse[0]:,}", f"{coarse[1]:.1e}")
            table.add_row(case.name, *cells)
            passed &= exact[1] <= arguments.bound and coarse[1] <= arguments.shared_bound
    Console(width=120).print(table)
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
