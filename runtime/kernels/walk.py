"""Walks over the nonzeros of one row or one column, eight at a time: scalar loads that LLVM would not arrange so by itself.

A row takes an index, a code, a codebook entry and an input for each nonzero; a column adds to scattered outputs. Loads bound
both, so eight one-byte codes are read as one word; a row has four sums, for its additions to overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ._deferred import types
from ._vector import F32, I64, call, element_pointer, intrinsic

TOGETHER = 8
"""Nonzeros of one round."""

SUMS = 4
"""Sums that a row's products are spread over."""


def _const(value: int) -> Any:
    return ir.Constant(I64, value)


def _loop(b: Any, begin: Any, end: Any, step: int, body: Callable[[Any, list[Any]], list[Any]], carried: list[Any]) -> Any:
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


def _weights(b: Any, code: Any, codebook: Any, i: Any, count: int) -> list[Any]:
    """The float32 weights of entries ``i`` to ``i + count``: looked up by code, or the entries themselves."""
    kind = code.type.pointee
    if kind == ir.IntType(8) and count == TOGETHER:
        word = b.load(b.bitcast(b.gep(code, [i]), I64.as_pointer()))
        word.align = 1
        codes = [b.and_(b.lshr(word, _const(8 * n)), _const(255)) for n in range(count)]
    else:
        codes = [b.load(b.gep(code, [b.add(i, _const(n))])) for n in range(count)]
    if kind == F32:
        return codes
    return [b.load(b.gep(codebook, [c if c.type == I64 else b.zext(c, I64)])) for c in codes]


def _elements(b: Any, array: Any, index: Any, i: Any, count: int) -> list[Any]:
    """Pointers to ``array[index[i + n]]``, n < ``count``."""
    return [b.gep(array, [b.zext(b.load(b.gep(index, [b.add(i, _const(n))])), I64)]) for n in range(count)]


@intrinsic
def dot(typingctx: Any, x: Any, minor: Any, code: Any, codebook: Any, begin: Any, end: Any) -> Any:
    """Sum over entries ``[begin, end)`` of weight times ``x[minor]``: float32, ``minor`` unsigned, ``code`` an index into the
    float32 ``codebook`` or a float32 weight."""
    signature = types.float32(x, minor, code, codebook, types.intp, types.intp)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        first, index, codes, values = (
            element_pointer(context, b, kind, array, _const(0))
            for kind, array in zip(signature.args[:4], arguments[:4], strict=True)
        )

        def add(count: int) -> Callable[[Any, list[Any]], list[Any]]:
            def body(i: Any, sums: list[Any]) -> list[Any]:
                sums = list(sums)
                inputs = _elements(b, first, index, i, count)
                for n, (weight, pointer) in enumerate(zip(_weights(b, codes, values, i, count), inputs, strict=True)):
                    sums[n % SUMS] = call(b, "llvm.fma.f32", F32, [weight, b.load(pointer), sums[n % SUMS]])
                return sums

            return body

        zero = ir.Constant(F32, 0.0)
        i, sums = _loop(b, arguments[4], arguments[5], TOGETHER, add(TOGETHER), [zero] * SUMS)
        _, rest = _loop(b, i, arguments[5], 1, add(1), [sums[0]])
        return b.fadd(b.fadd(rest[0], sums[1]), b.fadd(sums[2], sums[3]))

    return signature, codegen


@intrinsic
def scatter(typingctx: Any, y: Any, minor: Any, code: Any, codebook: Any, factor: Any, begin: Any, end: Any) -> Any:
    """``y[minor] += weight * factor`` for entries ``[begin, end)``, whose minors differ; arrays as for :func:`dot`."""
    signature = types.void(y, minor, code, codebook, types.float32, types.intp, types.intp)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        first, index, codes, values = (
            element_pointer(context, b, kind, array, _const(0))
            for kind, array in zip(signature.args[:4], arguments[:4], strict=True)
        )

        def add(count: int) -> Callable[[Any, list[Any]], list[Any]]:
            def body(i: Any, _: list[Any]) -> list[Any]:
                outputs = _elements(b, first, index, i, count)
                weights = _weights(b, codes, values, i, count)
                sums = [
                    call(b, "llvm.fma.f32", F32, [weight, arguments[4], b.load(pointer)])
                    for weight, pointer in zip(weights, outputs, strict=True)
                ]
                for value, pointer in zip(sums, outputs, strict=True):
                    b.store(value, pointer)
                return []

            return body

        i, _ = _loop(b, arguments[5], arguments[6], TOGETHER, add(TOGETHER), [])
        _loop(b, i, arguments[6], 1, add(1), [])
        return context.get_dummy_value()

    return signature, codegen
