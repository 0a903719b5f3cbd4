"""Which tiling is estimated to be the cheapest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.runtime.kernels.conv.cost_model import MOST_ENTRIES, choose, cost, has_tilings, least_cost, spread
from tersor.runtime.kernels.conv.layout import MOST_VECTORS, Shape2D, tiles


@st.composite
def shapes(draw: st.DrawFn) -> Shape2D:
    """A convolution that need not be possible: the model sees sizes alone."""
    pair, size = st.tuples(st.integers(1, 7), st.integers(1, 7)), st.integers(1, 60)
    groups, strides = draw(st.integers(1, 3)), draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    out = draw(size), draw(size)
    H, W = (n * s for n, s in zip(out, strides, strict=True))
    channels, outputs = (groups * draw(st.integers(1, 300)) for _ in range(2))
    return Shape2D(
        1, channels, H, W, outputs, *out, draw(pair), strides, draw(st.sampled_from([(1, 1), (2, 2)])), groups=groups
    )


@given(shape=shapes(), density=st.floats(0.01, 1), registers=st.sampled_from([(32, 16), (16, 8), (32, 4)]))
def test_choice_fits_registers_and_offsets(shape, density, registers):
    nonzeros = int(shape.M * shape.C // shape.groups * shape.taps * density)
    tiling = choose(shape, nonzeros, registers)
    assert tiling is not None
    assert tiling.T * tiling.R * max(1, tiling.V // registers[1]) <= registers[0] - 4
    assert tiling.block * tiling.vectors <= MOST_VECTORS
    assert tiling.columns > 0
    assert tiling.shifts == 1 or (tiling.shape == "rows" and shape.strides[1] == shape.dilations[1] == 1)
    assert tiling.shape != "direct" or shape.OH * shape.OW % (tiling.R * tiling.V) == 0
    assert tiles(shape, tiling) >= 1


@given(
    shape=shapes(),
    density=st.floats(0, 1),
    registers=st.sampled_from([(32, 16), (16, 8), (32, 4)]),
    parts=st.integers(1, 4),
    passing=st.booleans(),
)
def test_no_tiling_costs_less_than_its_multiply_adds(shape, density, registers, parts, passing):
    nonzeros = int(shape.dense * density)
    tiling = choose(shape, nonzeros, registers, parts, passing=passing)
    assert has_tilings(shape, registers)
    assert tiling is not None
    least = cost(shape, tiling, nonzeros, registers[1], parts, passing=passing)
    assert 0 <= least_cost(shape, nonzeros, registers[1], parts) < least


@pytest.mark.parametrize("registers", [(32, 16), (16, 8), (32, 4)])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(
    "shape",
    [
        Shape2D(N=1, C=512, H=7, W=7, M=512, OH=7, OW=7, kernel=(3, 3), begin=(1, 1)),
        Shape2D(N=1, C=64, H=112, W=112, M=64, OH=112, OW=112, kernel=(3, 3), begin=(1, 1)),
        Shape2D(N=4, C=128, H=1, W=784, M=128, OH=1, OW=784),
    ],
)
def test_multiply_adds_are_a_third_of_what_dense_weights_cost_or_more(shape, registers, parts):
    """Where fewer cycles are known to be enough, tilings need not be looked at."""
    tiling = choose(shape, shape.dense, registers, parts)
    assert tiling is not None
    assert least_cost(shape, shape.dense, registers[1], parts) >= cost(shape, tiling, shape.dense, registers[1], parts) / 3


def test_few_tiles_are_chosen_for_the_threads_that_share_them():
    shape = Shape2D(N=1, C=512, H=1, W=169, M=64, OH=1, OW=169)
    alone, together = (choose(shape, 10_800, (32, 16), parts) for parts in (1, 2))
    assert alone is not None
    assert together is not None
    assert tiles(shape, alone) == 1
    assert tiles(shape, together) == 2


@given(
    count=st.integers(1, 50),
    parts=st.integers(1, 9),
    cycles=st.tuples(st.floats(1, 1e6), st.floats(0, 1e6)),
    fewer=st.integers(0, 8),
)
def test_threads_take_no_longer_than_one_and_no_less_than_their_share(count, parts, cycles, fewer):
    shares, alone = max(1, parts - fewer), count * sum(cycles)
    assert alone / parts * 0.999 <= spread(count, parts, shares, *cycles) <= alone * 1.001
    assert spread(count, 1, 1, *cycles) == pytest.approx(alone)


@pytest.mark.parametrize(
    ("shape", "density", "kind"),
    [
        (Shape2D(N=1, C=512, H=7, W=7, M=512, OH=7, OW=7, kernel=(3, 3), begin=(1, 1)), 0.1, "flat"),
        (Shape2D(N=1, C=64, H=112, W=112, M=64, OH=112, OW=112, kernel=(3, 3), begin=(1, 1)), 1.0, "rows"),
        (Shape2D(N=1, C=3, H=224, W=224, M=64, OH=224, OW=224, kernel=(3, 3), begin=(1, 1)), 0.5, "flat"),
        (Shape2D(N=1, C=256, H=1, W=3136, M=64, OH=1, OW=3136), 0.1, "direct"),
    ],
)
def test_tiles_suit_planes(shape, density, kind):
    tiling = choose(shape, int(shape.M * shape.C * shape.taps * density), (32, 16))
    assert tiling is not None
    assert tiling.shape == kind


def test_a_kernel_of_too_many_positions_gets_no_tile():
    assert choose(Shape2D(N=1, C=1, H=300, W=300, M=1, OH=1, OW=1, kernel=(300, 300)), 90_000, (32, 16)) is None


def test_more_weights_than_can_be_counted_get_no_tile():
    shape = Shape2D(N=1, C=1 << 16, H=1, W=16, M=1 << 16, OH=1, OW=16)
    assert choose(shape, MOST_ENTRIES, (32, 16)) is not None
    assert choose(shape, MOST_ENTRIES + 1, (32, 16)) is None


@pytest.mark.parametrize(
    ("size", "density", "shifts", "together"), [(14, 0.1, 3, 1), (28, 0.1, 3, 1), (13, 0.35, 3, 2), (112, 0.9, 1, 2)]
)
def test_sums_are_shifted_where_blocks_would_hold_few_channels(size, density, shifts, together):
    shape = Shape2D(N=1, C=256, H=size, W=size, M=256, OH=size, OW=size, kernel=(3, 3), begin=(1, 1))
    tiling = choose(shape, int(shape.dense * density), (32, 16))
    assert tiling is not None
    assert (tiling.shape, tiling.shifts, tiling.T) == ("rows", shifts, together)
