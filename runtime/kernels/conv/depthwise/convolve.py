"""The pieces of a depthwise convolution: planes of outputs."""

from __future__ import annotations

from ....jit.jitted import jit
from ....orders.atomic import code_of, number_at
from ....orders.order import FACTS, OTHER, PIECES, WORK, X, Y
from ....orders.team import take
from .emit import COLUMNS, OH, OW, ZEROS, H, W, slide

OWN = ZEROS + 1
PLANES, EACH, HEIGHT, WEIGHTS, SCALE, SHIFT, BOUNDS = range(OWN, OWN + 7)
"""Facts, int64, beside those of a plane: output channels of an image, and how many of them read one plane; rows of the kernel;
addresses of weights, (output channels, columns, rows) float32, and of scale, shift and bounds."""


@jit
def depthwise_convolver(kinds):
    """Address of the code that carries out an order, see :func:`slide_planes`."""
    return code_of(kinds, slide_planes)


@jit
def slide_planes(kinds, order, member):
    """Take pieces of the output planes of the order at address ``order`` until none is left: ``x`` is (N, C, H, W), ``y`` and
    the residual are (N, M, OH, OW). ``kinds`` are the tile, whether there is a residual, and the gate, see :func:`slide`."""
    facts, (tile, added, gate) = number_at(order, FACTS), kinds
    channels, each = number_at(facts, PLANES), number_at(facts, EACH)
    plane, made = 4 * number_at(facts, H) * number_at(facts, W), 4 * number_at(facts, OH) * number_at(facts, OW)
    kernel, weights = 4 * number_at(facts, HEIGHT) * number_at(facts, COLUMNS), number_at(facts, WEIGHTS)
    scale, shift, bounds = number_at(facts, SCALE), number_at(facts, SHIFT), number_at(facts, BOUNDS)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for number in range(number_at(work, 0), number_at(work, 1)):
            m, source, at = number % channels, number_at(order, X) + number // each * plane, number * made
            affine = scale + 4 * m, shift + 4 * m, bounds
            target, other = number_at(order, Y) + at, number_at(order, OTHER) + at
            slide(tile, added, gate, target, other, source, weights + m * kernel, affine, facts)
        piece = take(order, member)
