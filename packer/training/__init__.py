"""Training under compression, for PyTorch (``pip install 'tersor[torch]'``): wrap a module, step, export.

Masks, gates and shared values are parametrizations (:mod:`torch.nn.utils.parametrize`) of an ordinary module's parameters, so
that any model and any training loop will do; they are in the module's ``state_dict``, so that a training can stop and go on.
"""

from ._slots import Slot, baked, slots, unwrap, wrapped_tensors
from .distillation import distillation
from .dropout import rescale_dropout
from .export import export, to_graph
from .hard_concrete import HardConcrete, close_gates, expected_weights, wrap_gates
from .mask import Mask, Pruner, densities, prune, wrap_masks
from .rate import Rates, assign, rates
from .rate_aware import RateAware
from .schedules import Schedule, constant, cubic, geometric, linear
from .sensitivity import choose_densities, scan
from .shared import SharedValues, freeze_codes, share
from .slim import slim
from .surgery import Surgery
from .tidy import tidy

__all__ = [
    "HardConcrete",
    "Mask",
    "Pruner",
    "RateAware",
    "Rates",
    "Schedule",
    "SharedValues",
    "Slot",
    "Surgery",
    "assign",
    "baked",
    "choose_densities",
    "close_gates",
    "constant",
    "cubic",
    "densities",
    "distillation",
    "expected_weights",
    "export",
    "freeze_codes",
    "geometric",
    "linear",
    "prune",
    "rates",
    "rescale_dropout",
    "scan",
    "share",
    "slim",
    "slots",
    "tidy",
    "to_graph",
    "unwrap",
    "wrap_gates",
    "wrap_masks",
    "wrapped_tensors",
]
