"""Instructions for kernels: vectors of tiles or kernels read, transformed and written. Places are addresses in bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ....emit import walk
from ....emit.finish import each_vector, factors_at, finished, gate_in
from ....emit.intrinsic import cgutils, intrinsic, types
from ....emit.memory import pointer
from ....emit.vector import I8, I64, lanes_below, masked_load, masked_store
from .transforms import OUTPUTS, POINTS, TAPS, Vectors


def _instruction(signature: Any, emit: Callable[..., None]) -> Any:
    """An intrinsic's answer: ``emit(vectors, *arguments)``, ``lanes`` being the first of the types."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit(Vectors(builder, len(signature.args[0])), *arguments[1:])
        return context.get_dummy_value()

    return signature, codegen


def _product(b: Any, number: int, step: Any) -> Any:
    return b.mul(ir.Constant(I64, number), step)


@intrinsic
def transform_rows(
    typingctx: Any, lanes: Any, target: Any, pitch: Any, source: Any, width: Any, rows: Any, columns: Any
) -> Any:
    """Transform ``V`` columns of six input rows, ``width`` elements apart, to six rows ``pitch`` elements apart.

    Rows and columns whose numbers are not in ``rows`` and ``columns``, (first, last), are zeros, and not read.
    """

    def emit(v: Vectors, target: Any, pitch: Any, source: Any, width: Any, rows: Any, columns: Any) -> None:
        b = v.b
        top, bottom, left, right = (b.extract_value(pair, k) for pair in (rows, columns) for k in (0, 1))
        inside = b.and_(lanes_below(b, right, v.lanes), b.not_(lanes_below(b, left, v.lanes)))
        d = []
        for i in range(POINTS):
            number = ir.Constant(I64, i)
            present = b.and_(b.icmp_signed(">=", number, top), b.icmp_signed("<", number, bottom))
            mask = b.select(present, inside, ir.Constant(inside.type, None))
            d.append(masked_load(b, b.gep(pointer(b, source), [b.mul(number, width)]), mask, v.type))
        for i, value in enumerate(v.inputs(d)):
            v.store(value, pointer(b, target), _product(b, i, pitch))

    return _instruction(types.void(lanes, *[types.intp] * 4, rows, columns), emit)


@intrinsic
def transform_columns(typingctx: Any, lanes: Any, target: Any, step: Any, source: Any) -> Any:
    """Transform a row of ``V`` tiles, four elements each, to six vectors ``step`` elements apart.

    What is read was just written: as the same vectors, or parts of one, for a processor waits where it lies in two of them.
    """

    def emit(v: Vectors, target: Any, step: Any, source: Any) -> None:
        b, place = v.b, pointer(v.b, source)
        d = v.parted([v.load(place, k * v.lanes) for k in range(OUTPUTS)])
        for k in range(POINTS - OUTPUTS):
            after = b.load(b.gep(place, [ir.Constant(I64, OUTPUTS * v.lanes + k)]))
            d.append(v.moved_up(d[k], after))
        for j, value in enumerate(v.inputs(d)):
            v.store(value, pointer(b, target), _product(b, j, step))

    return _instruction(types.void(lanes, *[types.intp] * 3), emit)


@intrinsic
def transform_weights(typingctx: Any, lanes: Any, coded: Any, target: Any, step: Any, source: Any, codebook: Any) -> Any:
    """Transform ``V`` kernels, nine vectors, to 36 vectors ``step`` elements apart.

    The vectors are codes of 8 bits for ``codebook`` unless ``coded`` is empty, else float32.
    """
    read = _looked_up if len(coded) else _as_they_are

    def emit(v: Vectors, _: Any, target: Any, step: Any, source: Any, codebook: Any) -> None:
        g = [read(v, source, codebook, k * v.lanes) for k in range(TAPS * TAPS)]
        columns = [v.weights(g[k::TAPS]) for k in range(TAPS)]
        for i in range(POINTS):
            for j, value in enumerate(v.weights([column[i] for column in columns])):
                v.store(value, pointer(v.b, target), _product(v.b, i * POINTS + j, step))

    return _instruction(types.void(lanes, coded, *[types.intp] * 4), emit)


def _as_they_are(v: Vectors, source: Any, codebook: Any, at: int) -> Any:
    return v.load(pointer(v.b, source), at)


def _looked_up(v: Vectors, source: Any, codebook: Any, at: int) -> Any:
    """Element by element, eight codes read as one word: instructions that gather take twice as long, and four times on
    processors with the mitigation of Downfall."""
    b, codes, values = v.b, v.b.inttoptr(source, I8.as_pointer()), pointer(v.b, codebook)
    result = ir.Constant(v.type, ir.Undefined)
    for lane in range(0, v.lanes, walk.TOGETHER):
        for k, value in enumerate(walk.weights(b, codes, values, ir.Constant(I64, at + lane), walk.TOGETHER)):
            result = b.insert_element(result, value, ir.Constant(I64, lane + k))
    return result


@intrinsic
def transform_outputs(typingctx: Any, lanes: Any, target: Any, pitch: Any, source: Any, step: Any) -> Any:
    """Transform the products of ``V`` tiles, 36 vectors ``step`` elements apart, back to four rows of ``4 * V`` sums, ``pitch``
    elements apart."""

    def emit(v: Vectors, target: Any, pitch: Any, source: Any, step: Any) -> None:
        b, place = v.b, pointer(v.b, source)
        columns = [v.outputs([v.load(place, _product(b, i * POINTS + j, step)) for i in range(POINTS)]) for j in range(POINTS)]
        for i in range(OUTPUTS):
            row = b.gep(pointer(b, target), [_product(b, i, pitch)])
            for k, value in enumerate(v.joined(v.outputs([column[i] for column in columns]))):
                v.store(value, row, k * v.lanes)

    return _instruction(types.void(lanes, *[types.intp] * 4), emit)


@intrinsic
def finish_maxima(typingctx: Any, lanes: Any, y: Any, width: Any, sums: Any, pitch: Any, room: Any, affine: Any) -> Any:
    """Write the largest of what becomes of the sums in each two neighbouring columns of two neighbouring rows, ``pitch``
    elements apart: (rows, columns), ``room``, of results, whose rows are ``width`` elements apart.

    Whole vectors of sums are read, two for one of results. ``affine`` are the addresses of scale, shift and bounds. Of two
    numbers one of which is NaN, the first one is taken.
    """

    def emit(v: Vectors, y: Any, width: Any, sums: Any, pitch: Any, room: Any, affine: Any) -> None:
        b = v.b
        rows, columns = (b.extract_value(room, k) for k in (0, 1))
        factors = factors_at(b, affine, v.lanes, gate_in(lanes))

        def larger(one: Any, other: Any) -> Any:
            return b.select(b.fcmp_ordered(">", other, one), other, one)

        def output(at: Any) -> Any:
            return finished(b, v.load(pointer(b, sums), at), factors)

        def down(column: Any, mask: Any) -> None:
            with cgutils.for_range(b, rows, intp=I64) as loop:
                first = b.mul(b.add(b.mul(loop.index, pitch), column), ir.Constant(I64, 2))
                both = [b.add(first, ir.Constant(I64, k * v.lanes)) for k in range(2)]
                value = larger(*v.halved(*(larger(output(at), output(b.add(at, pitch))) for at in both)))
                place = b.gep(pointer(b, y), [b.add(b.mul(loop.index, width), column)])
                if mask is None:
                    v.store(value, place, 0)
                else:
                    masked_store(b, value, place, mask)

        each_vector(b, columns, v.lanes, down)

    return _instruction(types.void(lanes, *[types.intp] * 4, room, affine), emit)
