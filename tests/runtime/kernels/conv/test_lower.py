"""Which kernel a convolution gets, where choosing by the shape alone went wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node
from tersor.format_spec.limits import Limits
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.lower import lower_conv
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops.conv import conv
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


def lowered(x, w, shape, **attributes) -> Kernel:
    types = ((F32, x.shape), (F32, w.shape)), ((F32, shape),)
    kernel = lower_conv(Site(Node("Conv", "c", ("x", "w"), ("y",), attributes), *types, {1: DenseTensor.of(w)}))
    assert kernel is not None
    return kernel


def run(x, w, **attributes) -> np.ndarray:
    want = conv.reference(x, w, **attributes)
    kernel = lowered(x, w, want.shape, **attributes)
    y = np.full(want.shape, np.nan, np.float32)
    kernel.run([x], [y], aligned_bytes(kernel.scratch), Workers(1))
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)
    return y


@pytest.mark.parametrize(
    ("size", "attributes"),
    [((3, 3), {"dilations": (2, 2), "pads": (0, 0, 2, 2)}), ((2,), {"dilations": (3,), "pads": (0, 2)}), ((3, 3), {})],
)
def test_a_kernel_as_large_as_its_input(size, attributes):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((n, 2, *size)).astype(np.float32) for n in (1, 4))
    run(x, w, **attributes)


@pytest.mark.parametrize("size", [(724, 728), (1 << 20,)])
def test_planes_of_more_vectors_than_offsets_tell_apart(size):
    rng = np.random.default_rng(0)
    run(rng.standard_normal((1, 2, *size)).astype(np.float32), rng.standard_normal((1, 2, *[1] * len(size))).astype(np.float32))


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize(("size", "dilation"), [((16, 32), 1 << 20), ((16, 32), (1 << 30) - 1), ((5, 9), 1 << 20)])
def test_positions_far_outside_of_the_input_meet_padding(groups, size, dilation):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((8, n, *s)).astype(np.float32) for n, s in ((8, size), (8 // groups, (1, 5))))
    types = ((F32, x.shape), (F32, w.shape)), ((F32, x.shape),)
    node = Node("Conv", "c", ("x", "w"), ("y",), {"auto_pad": "SAME_UPPER", "dilations": (1, dilation), "group": groups})
    kernel = lower_conv(Site(node, *types, {1: DenseTensor.of(w)}))
    assert kernel is not None
    if kernel.scratch > Limits().activation_bytes:  # copies of what lies between taps, refused by name; not in wide vectors
        assert (size, dilation) == ((16, 32), (1 << 30) - 1)
        return
    y = np.full(x.shape, np.nan, np.float32)
    kernel.run([x], [y], aligned_bytes(kernel.scratch), Workers(1))
    np.testing.assert_allclose(y, conv.reference(x, w[..., 2:3], group=groups), rtol=1e-4, atol=1e-4)


def test_paddings_that_no_kernel_could_count_are_refused():
    node = Node("Conv", "c", ("x", "w"), ("y",), {"auto_pad": "SAME_LOWER", "dilations": (1, (1 << 31) - 1)})
    w = np.ones((8, 8, 1, 5), np.float32)
    types = ((F32, (1, 8, 16, 32)), (F32, w.shape)), ((F32, (1, 8, 16, 32)),)
    with pytest.raises(PlanError, match=r"want a padding of .*, which may be 2,147,483,647 at most"):
        lower_conv(Site(node, *types, {1: DenseTensor.of(w)}))


@pytest.mark.parametrize("given", [{"pads": (1, 1)}, {"pads": (4, 0), "dilations": (2,)}, {"strides": (2,)}, {"group": 8}])
def test_of_a_long_row_a_tile_copies_what_it_meets(given):
    rng, group = np.random.default_rng(0), given.get("group", 1)
    x, w = rng.standard_normal((1, 8, 5000)).astype(np.float32), rng.standard_normal((8, 8 // group, 3)).astype(np.float32)
    run(x, w, **given)
    longer = np.tile(x, 30)
    assert lowered(longer, w, conv.reference(longer, w, **given).shape, **given).scratch < longer[0, 0].nbytes


@pytest.mark.parametrize(("group", "threads"), [(1, 1), (1, 2), (4, 1), (16, 2)])
@pytest.mark.parametrize("given", [{}, {"strides": (2,), "pads": (3, 1)}, {"dilations": (3,), "pads": (0, 2)}])
def test_a_column_is_convolved_as_a_row(group, threads, given):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 16, 70)).astype(np.float32), rng.standard_normal((32, 16 // group, 5)).astype(np.float32)
    attributes = {name: (values[0], 0, values[1], 0) if name == "pads" else (values[0], 2) for name, values in given.items()}
    row, column = run(x, w, group=group, **given), run(x[..., None], w[..., None], group=group, **attributes)
    np.testing.assert_array_equal(column[..., 0], row)
    one = (
        lowered(x, w, row.shape, group=group, **given),
        lowered(x[..., None], w[..., None], column.shape, group=group, **attributes),
    )
    assert one[0].name == one[1].name
