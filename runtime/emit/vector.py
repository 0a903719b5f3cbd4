"""Vector instructions that Numba does not emit by itself: written in LLVM IR, they become what the processor has.

``<16 x float>`` is one register of AVX-512, two of AVX2 and four of NEON. ``V`` is the length of a tuple argument, so that it
is known at compile time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .intrinsic import cgutils

I64, I32, I8, F32 = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.FloatType()


def element_pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Pointer to an element of a one-dimensional array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def vector_pointer(builder: Any, base: Any, index: Any, vector: ir.VectorType) -> Any:
    """``base + index`` elements, as a pointer to a vector."""
    return builder.bitcast(builder.gep(base, [index]), vector.as_pointer())


def splats_at(b: Any, places: Sequence[Any], lanes: int) -> list[Any]:
    """Vectors that hold the float32 at one of the ``places`` each, in every lane."""
    return [splat(b, b.load(place), lanes) for place in places]


def load_vector(b: Any, place: Any, vector: ir.VectorType) -> Any:
    """The float32 vector at ``place``, no more aligned than its elements."""
    value = b.load(b.bitcast(place, vector.as_pointer()))
    value.align = 4
    return value


def store_vector(b: Any, value: Any, place: Any) -> None:
    """Write a float32 vector to ``place``, no more aligned than its elements."""
    b.store(value, b.bitcast(place, value.type.as_pointer())).align = 4


def load_vectors(b: Any, place: Any, count: int, vector: ir.VectorType) -> list[Any]:
    """``count`` float32 vectors that lie one behind the other, aligned."""
    found = [b.load(vector_pointer(b, place, ir.Constant(I64, k * vector.count), vector)) for k in range(count)]
    for value in found:
        value.align = 4 * vector.count
    return found


def store_vectors(b: Any, values: Sequence[Any], place: Any) -> None:
    """Write float32 vectors one behind the other, aligned."""
    for k, value in enumerate(values):
        lanes = value.type.count
        b.store(value, vector_pointer(b, place, ir.Constant(I64, k * lanes), value.type)).align = 4 * lanes


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """A vector with ``scalar`` in every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def lanes_below(builder: Any, bound: Any, lanes: int) -> Any:
    """Mask of the lanes whose number is less than ``bound``, any i64."""
    for comparison, limit in ((">", lanes), ("<", 0)):  # the bound of lanes that are far from an array is not one of 32 bits
        beyond = ir.Constant(I64, limit)
        bound = builder.select(builder.icmp_signed(comparison, bound, beyond), beyond, bound)
    numbers = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return builder.icmp_signed("<", numbers, splat(builder, builder.trunc(bound, I32), lanes))


def either(b: Any, condition: Any, one: Callable[[], Sequence[Any]], other: Callable[[], Sequence[Any]]) -> list[Any]:
    """The values that ``one`` emits where the condition holds, else those of ``other``."""
    ends = []
    with b.if_else(condition) as branches:
        for branch, emit in zip(branches, (one, other), strict=True):
            with branch:
                values = emit()  # which may end in another block than this one
                ends.append((b.block, values))
    joined = []
    for number, value in enumerate(ends[0][1]):
        joined.append(b.phi(value.type))
        for block, values in ends:
            joined[-1].add_incoming(values[number], block)
    return joined


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Call the LLVM intrinsic ``name``."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def fma(b: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once, of float32 or of vectors of them."""
    kind = f"v{x.type.count}f32" if isinstance(x.type, ir.VectorType) else "f32"
    return call(b, f"llvm.fma.{kind}", x.type, [x, y, z])


def masked_load(builder: Any, pointer: Any, mask: Any, vector: ir.VectorType, other: Any = None) -> Any:
    """The lanes of ``mask`` from memory, those of the vector ``other`` (zeros when there is none) elsewhere."""
    address = builder.bitcast(pointer, vector.as_pointer())
    arguments = [address, ir.Constant(I32, 4), mask, ir.Constant(vector, None) if other is None else other]
    return call(builder, f"llvm.masked.load.v{vector.count}f32.p0", vector, arguments)


def masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    """Store the lanes of ``mask`` alone."""
    address = builder.bitcast(pointer, value.type.as_pointer())
    name = f"llvm.masked.store.v{value.type.count}f32.p0"
    call(builder, name, ir.VoidType(), [value, address, ir.Constant(I32, 4), mask])


def prefetch_line(builder: Any, pointer: Any, *, write: bool = False, near: bool = True) -> None:
    """Ask for the cache line at ``pointer``, which need not exist: in the first-level cache, or ``near`` not, in the second."""
    hints = [ir.Constant(I32, hint) for hint in (int(write), 3 if near else 2, 1)]
    call(builder, "llvm.prefetch.p0", ir.VoidType(), [builder.bitcast(pointer, I8.as_pointer()), *hints])
