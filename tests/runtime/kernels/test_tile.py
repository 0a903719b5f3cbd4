"""One generator, several processors: the code of a tile for each of them. That it computes is tested where it runs."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from tersor.runtime.kernels.layout import WHOLE
from tersor.runtime.kernels.tile import Tile
from tersor.runtime.kernels.visits import emit_visits

AVX2 = "+avx,+avx2,+fma"
TARGETS = {
    "AVX-512": ("x86_64-unknown-linux-gnu", "skylake-avx512", "", (2, 12, 16), r"vfmadd\d+ps\s.*%zmm"),
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell", AVX2, (2, 5, 8), r"vfmadd\d+ps\s.*%ymm"),
    "NEON": ("aarch64-unknown-linux-gnu", "cortex-a72", "+neon", (1, 6, 16), r"fmla\s+v\d+\.4s"),
}
"""Triple, processor, features, (T, R, V), and the instruction that multiplies and adds a whole register."""


def assembly(triple: str, processor: str, features: str, tile: tuple[int, int, int], *, whole: bool) -> str:
    """The machine code of a tile's visits, coded weights, as text."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.IntType(64)]), "visits")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit_visits(builder, function.args[0], Tile(builder, *tile), coded=True, whole=whole)
    builder.ret_void()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, features=features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return machine.emit_assembly(parsed)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_registers_are_multiplied_and_added_whole(name, whole):
    triple, processor, features, tile, instruction = TARGETS[name]
    tile = (WHOLE, max(1, tile[1] * tile[0] // 2 // WHOLE), tile[2]) if whole else tile
    code = assembly(triple, processor, features, tile, whole=whole)
    T, R, V = tile
    registers = R * V // {"AVX-512": 16, "AVX2": 8, "NEON": 4}[name]
    walked = 4 if T == 2 else T  # with pairs: two of both channels, one of each alone
    scaled = 2 * T  # with and without a residual
    assert len(re.findall(instruction, code)) >= registers * (walked + scaled)
    assert not re.search(r"\bfmaf?\b", code), "a library's function multiplies"
