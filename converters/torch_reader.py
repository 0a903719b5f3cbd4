"""Torch module → graph, by way of torch's own ONNX exporter."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..format_spec.errors import ConversionError, MissingExtra
from ..format_spec.graph import Graph
from .onnx_reader import from_onnx

if TYPE_CHECKING:
    import torch

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def from_torch(
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[Any],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: dict[str, Any] | tuple[Any, ...] | list[Any] | None = None,
) -> Graph:
    """Export ``module`` in evaluation mode and read the result into a graph.

    ``example_inputs`` are the positional arguments of ``forward``, a list or tuple (one tensor may stand alone). Inputs and
    outputs are called ``input_names`` and ``output_names``, or what torch calls them. ``dynamic_shapes`` is what
    ``torch.export.export`` takes, as in ``({0: torch.export.Dim("N")},)`` for batches of any size; other sizes are those of
    the examples. Every submodule has its training flag back afterwards.

    Raises:
        MissingExtra: torch or onnxscript is not installed.
        ConversionError: torch cannot export the module, the export cannot be read, or ``example_inputs`` are of another kind.
        UnsupportedOperator: an operator that ONNX's default domain does not have, or a type that numpy does not have.
    """
    try:
        import onnxscript  # noqa: F401  (the exporter imports it late and fails less clearly)
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra(f"from_torch needs {error.name}: pip install 'tersor[torch]'") from error
    arguments = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else _positional(example_inputs)
    tensors = itertools.chain(module.named_parameters(), module.named_buffers())
    if empty := next((name for name, tensor in tensors if tensor.is_meta), None):
        raise ConversionError(f"tensor {empty!r} is on the meta device and has no elements: load the weights first")
    with _evaluation_mode(module):
        try:
            program = torch.onnx.export(
                module,
                arguments,
                input_names=input_names,
                output_names=output_names,
                dynamic_shapes=dynamic_shapes,
                dynamo=True,
                optimize=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ConversionError(f"torch cannot export the module: {_COLOURS.sub('', str(error))}") from error
    assert program is not None
    return from_onnx(program.model_proto)


def _positional(example_inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of ``forward``, where they are a list or a tuple."""
    if not isinstance(example_inputs, list | tuple):
        given = type(example_inputs).__name__
        raise ConversionError(f"example_inputs must be a tensor, or a tuple of forward's positional arguments, not {given}")
    return tuple(example_inputs)


@contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    flags = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in flags:
            part.training = training
