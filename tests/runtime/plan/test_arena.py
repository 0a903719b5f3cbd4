"""The arena never gives two living values the same bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tersor.runtime.orders.order import ALIGNMENT, aligned_bytes
from tersor.runtime.plan.arena import PLACE_BYTES, Lifetime, assign, assign_scratch

LIFETIMES = st.lists(
    st.builds(
        lambda size, birth, length: Lifetime(size, birth, birth + length),
        st.integers(0, 500),
        st.integers(0, 20),
        st.integers(0, 8),
    ),
    max_size=25,
)


@given(LIFETIMES)
def test_living_values_are_disjoint_and_aligned(lifetimes):
    offsets, total = assign(lifetimes)
    for i, (a, at) in enumerate(zip(lifetimes, offsets, strict=True)):
        assert at % ALIGNMENT == 0
        assert at >= 0
        assert at + a.size <= total
        for b, other in list(zip(lifetimes, offsets, strict=True))[:i]:
            together = a.birth <= b.death and b.birth <= a.death
            assert not together or at + a.size <= other or other + b.size <= at


def test_values_of_different_times_share():
    assert assign([Lifetime(640, 0, 1), Lifetime(640, 2, 3)]) == ([0, 0], 640)


def test_a_value_takes_the_smallest_gap_that_fits():
    lifetimes = [Lifetime(1000, 0, 0), Lifetime(900, 0, 9), Lifetime(128, 0, 0), Lifetime(64, 0, 9), Lifetime(60, 1, 9)]
    offsets, total = assign(lifetimes)
    assert offsets == [0, 1024, 1984, 2112, 1984]
    assert total == 2176


@given(st.lists(st.integers(0, 3 * PLACE_BYTES), max_size=9), st.integers(1, 3))
def test_scratch_memory_has_its_middle_in_common_where_it_fits_caches(sizes, threads):
    offsets, room = assign_scratch(sizes, threads)
    for size, at in zip(sizes, offsets, strict=True):
        if threads == 1 or size > threads * PLACE_BYTES:
            assert at is None
        else:
            assert at is not None
            assert at % ALIGNMENT == 0
            assert 0 <= at <= at + size <= room
            assert at + -(-size // 2) <= room // 2 <= at + -(-size // 2) + ALIGNMENT


def test_memory_is_aligned():
    assert all(aligned_bytes(n).ctypes.data % ALIGNMENT == 0 and len(aligned_bytes(n)) == n for n in (1, 63, 1000))
