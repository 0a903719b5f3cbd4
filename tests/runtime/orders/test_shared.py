"""Work in pieces that threads take."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.orders.shared import MOST_PIECES, evenly, pieces_for


def test_one_thread_alone_does_all_in_one_piece():
    assert pieces_for(1, 9, 1000) == 1


@pytest.mark.parametrize("threads", [2, 5])
def test_several_threads_take_some_pieces_each_of_no_more_than_there_are(threads):
    assert pieces_for(threads, 1000, 999) == MOST_PIECES * threads
    assert pieces_for(threads, 1000, 3) == pieces_for(threads, 3, 1000) == 3
    assert pieces_for(threads, 1000, 0) == 1


@pytest.mark.parametrize(("count", "pieces"), [(12, 4), (13, 4), (3, 7), (0, 1)])
def test_pieces_differ_by_one_at_most(count, pieces):
    starts = evenly(count, pieces)
    assert (starts[0], starts[-1]) == (0, count)
    assert set(np.diff(starts)) <= {count // pieces, -(-count // pieces)}
