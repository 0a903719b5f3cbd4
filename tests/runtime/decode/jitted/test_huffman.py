from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.huffman import canonical_codes, code_lengths
from tersor.runtime.decode.jitted.huffman import ALONE, MOST, SINGLES, TABLE, TABLE_BITS, fill_table


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=256).filter(lambda c: np.count_nonzero(c) > 1))
def test_a_table_of_several_symbols_agrees_with_the_codes(values: list[int]) -> None:
    lengths = code_lengths(np.array(values))
    codes, table = canonical_codes(lengths), np.zeros(TABLE, np.uint32)
    most = 1 if fill_table(lengths, table) == SINGLES else MOST
    symbol_of = {(int(n), int(c)): s for s, (n, c) in enumerate(zip(lengths, codes, strict=True)) if n > 0}
    for window in range(0, 1 << TABLE_BITS, 37):
        text, found = format(window, f"0{TABLE_BITS}b"), []
        while len(found) < most:
            hits = [(n, symbol_of[n, int(text[:n], 2)]) for n in range(1, len(text) + 1) if (n, int(text[:n], 2)) in symbol_of]
            if not hits:
                break
            found.append(hits[0])
            text = text[hits[0][0] :]
        entry = int(table[window])
        assert entry & 63 == sum(n for n, _ in found)
        assert entry >> 6 & 3 == len(found)
        assert table[ALONE + (entry >> 8 & 255)] == found[0][0]
        assert [entry >> 8 + 8 * i & 255 for i in range(len(found))] == [symbol for _, symbol in found]


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, tersor.runtime, tersor.runtime.decode; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
