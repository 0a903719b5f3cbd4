"""``tersor inspect``: what is in a file, byte by byte, and how it would be executed."""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .._output import (
    bytes_text,
    counted,
    echo,
    json_option,
    limits_option,
    memory_option,
    print_json,
    print_table,
    size_option,
    threads_option,
)
from .._sources import loaded, opened
from .._types import FilePath

if TYPE_CHECKING:
    from ...format_spec.container import Container
    from ...format_spec.limits import Limits
    from ...runtime.load import Memory
    from ...runtime.plan.plan import Row
    from .._types import Sizes


@click.command(name="inspect")
@click.argument("file", type=FilePath())
@click.option("--plan", "as_plan", is_flag=True, help="Show the steps that would be executed, with the kernel of each.")
@size_option
@threads_option
@memory_option
@limits_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    as_plan: bool,
    sizes: Sizes,
    threads: int | None,
    memory: Memory,
    limits: Limits,
    as_json: bool,
) -> None:
    """Show the sections, inputs, outputs, metadata and tensors of FILE, and where its bytes go.

    Nothing is executed, and no weight is decoded: but the whole file is read once, to check that it is not damaged.
    """
    if as_plan:
        _show_plan(file, sizes, threads, memory, limits, as_json)
        return
    for name, option in (("sizes", "--size"), ("threads", "--threads"), ("memory", "--memory")):
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{option} needs --plan")
    with opened(file, limits) as container:
        facts = describe(container)
    if as_json:
        print_json(facts)
    else:
        _show(file, facts)


def describe(container: Container) -> dict[str, Any]:
    """Everything that ``inspect`` shows, as plain values."""
    from ...format_spec import codecs
    from ...format_spec.coding import CodecId
    from ...format_spec.container import KIND_NAMES
    from ...format_spec.graph import graphs
    from ...format_spec.model_file import StoredTensors, read_graph

    graph = read_graph(container, codecs.decode)
    tensors: list[dict[str, Any]] = []
    for part in graphs(graph):
        assert isinstance(part.initializers, StoredTensors)
        for name, stored in part.initializers.stored.items():
            record = stored.record
            own = stored.same_as is None
            items = codecs.items(record, part.initializers.payload(name), container.limits) if own else {}
            tensors.append(
                {
                    "name": name,
                    "dtype": record.dtype.name,
                    "shape": list(record.shape),
                    "codec": CodecId(record.codec).name.lower(),
                    "bytes": stored.length if own else 0,
                    "items": items,
                    "same_as": stored.same_as,
                }
            )
    return {
        "bytes": container.length,
        "graph": graph.name,
        "opset": graph.opset,
        "nodes": len(graph.nodes),
        "inputs": {v.name: str(v.type) for v in graph.inputs},
        "outputs": {v.name: str(v.type) for v in graph.outputs},
        "metadata": dict(graph.metadata),
        "sections": [{"kind": KIND_NAMES[s.kind], "offset": s.offset, "bytes": s.length} for s in container.sections],
        "overhead": container.overhead,
        "tensors": tensors,
    }


def _show(file: Path, facts: dict[str, Any]) -> None:
    nodes = counted(facts["nodes"], "node")
    echo(f"{file}: {bytes_text(facts['bytes'])}, graph {facts['graph']!r}, {nodes}, opset {facts['opset']}")
    for what in ("inputs", "outputs", "metadata"):
        for name, text in facts[what].items():
            echo(f"  {what.removesuffix('s')} {name}: {text}")
    columns = ("name", "type", "codec", ">bytes", ">bits/element", "where the bytes go")
    print_table("Tensors", columns, map(_tensor_row, facts["tensors"]))
    manifest = sum(s["bytes"] for s in facts["sections"] if s["kind"] == "manifest")
    payloads = sum(t["bytes"] for t in facts["tensors"])
    sums = f"tensors {payloads:,} + manifest {manifest:,} + header, table and padding {facts['overhead']:,}"
    echo(f"{sums} = {facts['bytes']:,} bytes")


def _tensor_row(tensor: dict[str, Any]) -> tuple[str, ...]:
    elements = prod(tensor["shape"])
    own = ", ".join(f"{name} {count:,}" for name, count in tensor["items"].items() if count)
    items = own if tensor["same_as"] is None else f"the same as {tensor['same_as']}"
    bits = f"{8 * tensor['bytes'] / elements:.2f}" if elements else "-"
    kind = f"{tensor['dtype']}{tensor['shape']}"
    return (tensor["name"], kind, tensor["codec"], f"{tensor['bytes']:,}", bits, items)


def _show_plan(file: Path, given: Sizes, threads: int | None, memory: Memory, limits: Limits, as_json: bool) -> None:
    from .._inputs import chosen_sizes, input_shapes, naming_sizes

    with loaded(file, threads=threads, memory=memory, limits=limits) as model:
        sizes = chosen_sizes(file, model.inputs, given)
        with naming_sizes(sizes):
            plan, used = model.plan(input_shapes(model.inputs, sizes, limits)), model.threads
    rows = list(plan.rows())
    if as_json:
        print_json({"threads": used, "steps": [asdict(row) for row in rows], "intermediate_bytes": plan.arena_bytes})
        return
    macs, executed = sum(row.macs for row in rows), sum(row.macs * row.density for row in rows)
    weights = f"{sum(row.weight_bytes for row in rows):,}"
    columns = (">step", "node", "operator", "kernel", "output", ">MACs", ">density", ">weight bytes")
    total = ("", "all", "", "", "", f"{macs:,}", f"{executed / macs:.0%}" if macs else "", weights)
    print_table(f"Plan for {counted(used, 'thread')}", columns, map(_plan_row, rows), total)
    echo(f"memory for intermediate values: {bytes_text(plan.arena_bytes)}")


def _plan_row(row: Row) -> tuple[str, ...]:
    figures = (f"{row.macs:,}", f"{row.density:.0%}", f"{row.weight_bytes:,}") if row.macs else ("", "", "")
    return (str(row.index), row.node, row.op, row.kernel, row.output, *figures)
