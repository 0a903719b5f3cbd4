"""Walks over the nonzeros of one row or one column, eight at a time: scalar loads that LLVM would not arrange so by itself.

A row takes an index, a code, a codebook entry and an input for each nonzero; a column adds to scattered outputs. Loads bound
both, so eight one-byte codes are read as one word; a row has four sums, for its additions to overlap.

Arrays are addresses. The length of the tuple ``minor`` is the bytes of an unsigned index, that of ``code`` those of an index
into the float32 ``codebook``, or, where it is 4, of a float32 weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .intrinsic import intrinsic, types
from .memory import opaque, pointer
from .vector import F32, I8, I64, fma

TOGETHER = 8
"""Nonzeros of one round."""

SUMS = 4
"""Sums that a row's products are spread over."""

F32_BYTES = 4


def _const(value: int) -> Any:
    return ir.Constant(I64, value)


def loop(b: Any, begin: Any, end: Any, step: int, body: Callable[[Any, list[Any]], list[Any]], carried: list[Any]) -> Any:
    """Run ``body(i, carried)`` for ``i`` from ``begin`` while ``i + step <= end``; (the next ``i``, what is carried then)."""
    entry, loop, done = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
    last = b.sub(end, _const(step))
    b.cbranch(b.icmp_signed("<=", begin, last), loop, done)
    b.position_at_end(loop)
    i = b.phi(I64)
    i.add_incoming(begin, entry)
    inside = [b.phi(value.type) for value in carried]
    for phi, value in zip(inside, carried, strict=True):
        phi.add_incoming(value, entry)
    after = body(i, inside)
    following = b.add(i, _const(step))
    i.add_incoming(following, loop)
    for phi, value in zip(inside, after, strict=True):
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_signed("<=", following, last), loop, done)
    b.position_at_end(done)
    left = []
    for outside, made in zip([begin, *carried], [following, *after], strict=True):
        phi = b.phi(made.type)
        phi.add_incoming(outside, entry)
        phi.add_incoming(made, loop)
        left.append(phi)
    return left[0], left[1:]


def weights(b: Any, codes: Any, codebook: Any, i: Any, count: int) -> list[Any]:
    """The float32 weights of entries ``i`` to ``i + count``: looked up by code, or the entries themselves."""
    kind = codes.type.pointee
    if kind == I8 and count in (4, 8):
        whole = ir.IntType(8 * count)
        word = b.load(b.bitcast(b.gep(codes, [i]), whole.as_pointer()))
        word.align = 1
        found = [b.and_(b.lshr(word, ir.Constant(whole, 8 * n)), ir.Constant(whole, 255)) for n in range(count)]
    else:
        found = [b.load(b.gep(codes, [b.add(i, _const(n))])) for n in range(count)]
    if kind == F32:
        return found
    return [b.load(b.gep(codebook, [c if c.type == I64 else b.zext(c, I64)])) for c in found]


def listed(b: Any, code: Any, address: Any) -> Any:
    """The pointer to codes, or weights, that an address is; ``code`` as above."""
    kind = F32 if len(code) == F32_BYTES else ir.IntType(8 * len(code))
    return b.inttoptr(address, kind.as_pointer())


def _elements(b: Any, array: Any, index: Any, i: Any, count: int) -> list[Any]:
    """Pointers to ``array[index[i + n]]``, n < ``count``."""
    return [b.gep(array, [b.zext(b.load(b.gep(index, [b.add(i, _const(n))])), I64)]) for n in range(count)]


@intrinsic
def dot(typingctx: Any, minor: Any, code: Any, x: Any, minors: Any, codes: Any, codebook: Any, begin: Any, end: Any) -> Any:
    """Sum over entries ``[begin, end)`` of weight times ``x[minor]``: float32."""
    signature = types.float32(minor, code, *[types.intp] * 6)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        first, values = pointer(b, arguments[2]), pointer(b, arguments[5])
        index, entries = b.inttoptr(arguments[3], ir.IntType(8 * len(minor)).as_pointer()), listed(b, code, arguments[4])

        def add(count: int) -> Callable[[Any, list[Any]], list[Any]]:
            def body(i: Any, sums: list[Any]) -> list[Any]:
                sums = list(sums)
                inputs = _elements(b, first, index, i, count)
                for n, (weight, place) in enumerate(zip(weights(b, entries, values, i, count), inputs, strict=True)):
                    sums[n % SUMS] = fma(b, weight, b.load(place), sums[n % SUMS])
                return sums

            return body

        zero = ir.Constant(F32, 0.0)
        i, sums = loop(b, arguments[6], arguments[7], TOGETHER, add(TOGETHER), [zero] * SUMS)
        _, rest = loop(b, i, arguments[7], 1, add(1), [sums[0]])
        return b.fadd(b.fadd(rest[0], sums[1]), b.fadd(sums[2], sums[3]))

    return signature, codegen


@intrinsic
def scatter(
    typingctx: Any, minor: Any, code: Any, y: Any, minors: Any, codes: Any, codebook: Any, factor: Any, begin: Any, end: Any
) -> Any:
    """``y[minor] += weight * factor`` for entries ``[begin, end)``, whose minors differ; ``factor`` float32."""
    signature = types.void(minor, code, *[types.intp] * 4, types.float32, types.intp, types.intp)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        first, values = pointer(b, arguments[2]), pointer(b, arguments[5])
        index, entries = b.inttoptr(arguments[3], ir.IntType(8 * len(minor)).as_pointer()), listed(b, code, arguments[4])

        def add(count: int) -> Callable[[Any, list[Any]], list[Any]]:
            def body(i: Any, _: list[Any]) -> list[Any]:
                for n in range(count):
                    at = b.add(i, _const(n))
                    place = opaque(b, _elements(b, first, index, at, 1)[0])
                    (weight,) = weights(b, entries, values, at, 1)
                    b.store(fma(b, weight, arguments[6], b.load(place)), place)
                return []

            return body

        i, _ = loop(b, arguments[7], arguments[8], TOGETHER, add(TOGETHER), [])
        loop(b, i, arguments[8], 1, add(1), [])
        return context.get_dummy_value()

    return signature, codegen
