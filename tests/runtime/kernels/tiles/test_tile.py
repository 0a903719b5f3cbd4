"""One generator, several processors: the code of a tile for each of them. That it computes is tested where it runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from tersor.runtime.kernels.conv.sparse.visits import emit_visits
from tersor.runtime.kernels.tiles.cut import register_tile
from tersor.runtime.kernels.tiles.multiply import emit_units
from tersor.runtime.kernels.tiles.tile import Tile

AVX2 = "+avx,+avx2,+fma"
TARGETS = {
    "AVX-512": ("x86_64-unknown-linux-gnu", "skylake-avx512", "", (2, 12, 16), r"vfmadd\d+ps\s.*%zmm"),
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell", AVX2, (2, 5, 8), r"vfmadd\d+ps\s.*%ymm"),
    "NEON": ("aarch64-unknown-linux-gnu", "cortex-a72", "+neon", (1, 6, 16), r"fmla\s+v\d+\.4s"),
}
"""Triple, processor, features, (T, R, V), and the instruction that multiplies and adds a whole register."""

SHIFTS = {"AVX-512": r"valignd\s|vpermps\s|vpermd\s", "AVX2": r"vpermps\s|vpalignr\s|vshufps\s", "NEON": r"ext\s+v\d+\.16b"}
"""The instructions that move lanes."""

LANES = {"AVX-512": 16, "AVX2": 8, "NEON": 4}
"""Elements of a register."""


def assembly(name: str, emit: Callable[[Any, Any], None]) -> str:
    """The machine code, as text, of a function of an address whose body ``emit(builder, address)`` emits."""
    triple, processor, features, *_ = TARGETS[name]
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.IntType(64)]), "tile")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit(builder, function.args[0])
    builder.ret_void()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, features=features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return machine.emit_assembly(parsed)


@pytest.mark.parametrize("name", TARGETS)
def test_registers_are_multiplied_and_added_whole(name):
    *_, (T, R, V), instruction = TARGETS[name]
    code = assembly(name, lambda b, task: emit_visits(b, task, Tile(b, T, R, V), coded=True, means=False))
    walked = 4 if T == 2 else T  # with pairs: two of both channels, one of each alone
    scaled = 4 * T  # with and without a residual, whole tiles and parts
    assert len(re.findall(instruction, code)) >= R * V // LANES[name] * (walked + scaled)
    assert not re.search(r"\bfmaf?\b", code), "a library's function multiplies"


@pytest.mark.parametrize("name", TARGETS)
def test_means_are_sums_of_whole_registers(name):
    *_, (T, R, V), instruction = TARGETS[name]
    code = assembly(name, lambda b, task: emit_visits(b, task, Tile(b, T, R, V), coded=True, means=True))
    assert len(re.findall(instruction, code)) >= R * V // LANES[name] * ((4 if T == 2 else T) + T)
    assert len(re.findall(r"vdivss\s|fdiv\s+s\d", code)) == T
    assert not re.search(r"^\s+(callq?|bl)\s", code, flags=re.MULTILINE), "a library's function adds"


@pytest.mark.parametrize("T", [1, 2])
@pytest.mark.parametrize("name", TARGETS)
def test_sums_are_shifted_between_walks(name, T):
    *_, (_, R, V), instruction = TARGETS[name]
    code = assembly(name, lambda b, task: emit_visits(b, task, Tile(b, T, R, V, shifts=3), coded=True, means=False))
    walked, scaled = 3 * (4 if T == 2 else 1), 4 * T  # with and without a residual, whole tiles and parts
    assert len(re.findall(instruction, code)) >= R * V // LANES[name] * (walked + scaled)
    assert len(re.findall(SHIFTS[name], code)) >= 2 * T * R


@pytest.mark.parametrize(("together", "coded", "listed"), [(8, False, False), (4, False, True), (4, True, False)])
@pytest.mark.parametrize("name", TARGETS)
def test_dense_products_stay_in_registers(name, together, coded, listed):
    T, R, V = register_tile((16 if name == "AVX2" else 32, LANES[name]), together)
    code = assembly(
        name, lambda b, task: emit_units(b, task, Tile(b, T, R, V), coded=coded, finishes=coded, listed=listed, asks=listed)
    )
    loop = max(re.split(r"^\.?L\w+:", code, flags=re.MULTILINE), key=lambda part: len(re.findall(TARGETS[name][-1], part)))
    assert len(re.findall(TARGETS[name][-1], loop)) == T * R * V // LANES[name]
    assert not re.search(r"(zmm|ymm).*\(%rsp\)|\(%rsp\).*(zmm|ymm)|q\d+, \[sp", loop), "sums are spilled"
