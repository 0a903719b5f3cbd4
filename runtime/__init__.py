"""The runtime: ``load`` a packed file and run it on a CPU, without onnx or torch."""

from __future__ import annotations

from .load import load
from .model import Model
from .tensors import load_tensors

__all__ = ["Model", "load", "load_tensors"]
