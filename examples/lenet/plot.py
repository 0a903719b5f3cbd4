"""Draw error against bytes from ``models/results.json`` as SVG, one panel a network: the curve in ``docs/training.md``.

python examples/lenet/plot.py --results examples/lenet/models/results.json --output docs/training_curve.svg
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from score import TARGETS

HERE = Path(__file__).parent
WIDTH, HEIGHT, MARGIN = 420, 300, 56
PAPER = {"lenet-300-100": (27_000, 1.58), "lenet-5": (44_000, 0.74)}
"""Size by the paper's formula, bytes, and its test error, percent (Han, Mao, Dally, ICLR 2016, Table 1)."""


@dataclass(frozen=True)
class Panel:
    """What one panel shows: ``points`` and ``paper`` are (bytes, error in percent)."""

    title: str
    points: list[tuple[float, float]]
    reference: tuple[str, float]
    paper: tuple[float, float] | None


def panel(what: Panel, left: int) -> str:
    """One panel: a dot a file, the paper's point, and the reference error as a dashed line."""
    label, limit = what.reference
    shown = [*what.points, (what.points[0][0], limit), *([what.paper] if what.paper else [])]
    low, high = (math.log10(f(x for x, _ in shown)) for f in (min, max))
    low, high = low - 0.1, high + 0.1
    top = 1.15 * max(y for _, y in shown)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (math.log10(point[0]) - low) / (high - low)
        return left + MARGIN + across * (WIDTH - MARGIN - 12), HEIGHT - MARGIN - point[1] / top * (HEIGHT - MARGIN - 30)

    out = [_text(left + WIDTH / 2, 18, what.title, "middle", "bold")]
    for value in _ticks(top):
        x, y = place((10**low, value))
        out.append(f'<path d="M{x:.1f} {y:.1f}H{left + WIDTH - 12}" stroke="#ddd"/>' + _text(x - 6, y + 4, f"{value:g}", "end"))
    for value in (v * 10**power for power in range(2, 7) for v in (1, 2, 5)):
        if low <= math.log10(value) <= high:
            x, y = place((value, 0))
            out.append(_text(x, y + 18, f"{value / 1000:g}", "middle"))
    x, y = place((10 ** ((low + high) / 2), 0))
    out.append(_text(x, y + 38, "file, kilobytes (logarithmic)", "middle"))
    x, y = place((10**low, limit))
    out.append(f'<path d="M{x:.1f} {y:.1f}H{left + WIDTH - 12}" stroke="#777" stroke-dasharray="5 4"/>')
    out.append(_text(left + WIDTH - 14, y - 5, f"{label}, {limit:.2f} %", "end"))
    if what.paper:
        x, y = place(what.paper)
        out.append(f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="#c30" stroke-width="2"/>')
        out.append(_text(x, y + 18, "paper (its formula)", "end"))
    for point in what.points:
        x, y = place(point)
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#06c" fill-opacity="0.8"/>')
    return "\n".join(out)


def _ticks(top: float) -> list[float]:
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if top / s <= 8)
    return [round(step * i, 6) for i in range(int(top / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{text}</text>'


def draw(results: dict[str, list[dict[str, Any]]]) -> str:
    """The whole picture: a panel for each data set and network that has files."""
    chosen = [_choose(results, data, network) for data in ("mnist", "fashion-mnist") for network in TARGETS]
    panels = [panel(what, WIDTH * i) for i, what in enumerate(what for what in chosen if what.points)]
    width = WIDTH * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">test error, %</text>\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


def _choose(results: dict[str, list[dict[str, Any]]], data: str, network: str) -> Panel:
    """The files of one network; on MNIST beside the paper's reference error, elsewhere beside that of our dense network."""
    rows, dense = ([row for row in results.get(name, []) if row["network"] == network] for name in (data, f"{data}-dense"))
    points = [(float(row["file_bytes"]), float(row["test_error"])) for row in rows]
    if data == "mnist":
        return Panel(network, points, ("the paper's reference", TARGETS[network][1]), PAPER[network])
    return Panel(f"{network}, {data}", points, ("dense", min((row["test_error"] for row in dense), default=0.0)), None)


def main() -> None:
    """Read the results, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "models" / "results.json")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "docs" / "training_curve.svg")
    args = parser.parse_args()
    args.output.write_text(draw(json.loads(args.results.read_text())["files"]))


if __name__ == "__main__":
    main()
