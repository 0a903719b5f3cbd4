"""Models (ONNX, torch) and mere tensors (safetensors, npz, state dicts) to :class:`~tersor.format_spec.graph.Graph`, and back.

Importing this package imports neither onnx nor torch: each function brings what it needs when it is first looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .onnx_reader import from_onnx
    from .onnx_writer import to_onnx
    from .tensors_reader import from_npz, from_safetensors, from_state_dict
    from .tensors_writer import to_npz, to_safetensors
    from .torch_reader import from_torch

__all__ = [
    "from_npz",
    "from_onnx",
    "from_safetensors",
    "from_state_dict",
    "from_torch",
    "to_npz",
    "to_onnx",
    "to_safetensors",
]

_MODULES = {
    "files_read": "onnx_reader",
    "files_written": "onnx_writer",
    "from_npz": "tensors_reader",
    "from_onnx": "onnx_reader",
    "from_safetensors": "tensors_reader",
    "from_state_dict": "tensors_reader",
    "from_torch": "torch_reader",
    "to_npz": "tensors_writer",
    "to_onnx": "onnx_writer",
    "to_safetensors": "tensors_writer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from ..format_spec.errors import MissingExtra

    try:
        module = import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise MissingExtra("reading and writing ONNX models needs onnx: pip install 'tersor[pack]'") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
