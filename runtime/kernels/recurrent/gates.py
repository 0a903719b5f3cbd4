"""What recurrent cells do between their products: gates, a vector at a time, and the states that they make.

Everything lies in rows of a multiple of ``V`` float32, one for each gate, of which only ``hidden`` mean something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir

from ...emit.exponential import vector_exponential
from ...emit.intrinsic import cgutils, intrinsic, types
from ...emit.memory import pointer
from ...emit.vector import F32, I64, call, fma, load_vector, store_vector
from ..activations import ALMOST, T0, T1, T2, T3, T4

LSTM, GRU, GRU_LINEAR, RNN, RNN_RELU = range(5)
"""Kinds of cell: a GRU resets the state before or after (``linear_before_reset``) its product; an RNN has tanh or relu."""

SATURATED = np.float32(87)
"""The logistic function of numbers below the negative of this is taken for that of it: it would be next to no float32."""

LEAST = np.finfo(np.float32).smallest_normal
"""Smaller states are 0: of what float32 holds with fewer digits, many processors take a hundred times as long to make a
product."""

Read: TypeAlias = "Callable[[Any, int], Any]"
"""(rows by their address, number of the row) -> vector."""


def _number(value: Any, like: Any) -> Any:
    return ir.Constant(like.type, [float(value)] * like.type.count)


def sigmoid(b: Any, x: Any) -> Any:
    """``1 / (1 + exp(-x))``, good to three units in the last place down to 2e-38; NaN stays NaN."""
    one, most = _number(1, x), _number(SATURATED, x)
    minus = b.fneg(x)
    falling = vector_exponential(b, b.select(b.fcmp_ordered(">", minus, most), most, minus))
    return b.fdiv(one, b.fadd(one, falling))


def hyperbolic_tangent(b: Any, x: Any) -> Any:
    """``tanh(x)``, good to three units in the last place; NaN stays NaN."""
    one, kind = _number(1, x), f"v{x.type.count}f32"
    size, square = call(b, f"llvm.fabs.{kind}", x.type, [x]), b.fmul(x, x)
    series = _number(T4, x)
    for coefficient in (T3, T2, T1, T0):
        series = fma(b, series, square, _number(coefficient, x))
    near = fma(b, b.fmul(series, square), x, x)
    falling = vector_exponential(b, b.fmul(size, _number(-2, x)))
    beyond = b.fdiv(b.fsub(one, falling), b.fadd(one, falling))
    signed = call(b, f"llvm.copysign.{kind}", x.type, [beyond, x])
    return b.select(b.fcmp_ordered(">", size, _number(ALMOST, x)), signed, near)


def _lstm(b: Any, read: Read, gates: Any, given: Any, hidden: Any, cell: Any) -> tuple[Any, Any]:
    """Gates: input, output, forget, cell."""
    enter, leave, forget = (sigmoid(b, read(gates, number)) for number in range(3))
    new = b.fmul(enter, hyperbolic_tangent(b, read(gates, 3)))
    cell = _without_least(b, fma(b, forget, read(cell, 0), new))
    return b.fmul(leave, hyperbolic_tangent(b, cell)), cell


def _gru(b: Any, read: Read, gates: Any, given: Any, hidden: Any, cell: Any) -> tuple[Any, None]:
    """``gates``: what the update gate and, in the third row, the candidate are made of."""
    return _updated(b, read, read(gates, 0), b.fadd(read(gates, 2), read(given, 2)), hidden), None


def _gru_linear(b: Any, read: Read, gates: Any, given: Any, hidden: Any, cell: Any) -> tuple[Any, None]:
    """``gates``: what the state gives the update and reset gates and the candidate."""
    update, reset = (b.fadd(read(gates, number), read(given, number)) for number in range(2))
    return _updated(b, read, update, fma(b, sigmoid(b, reset), read(gates, 2), read(given, 2)), hidden), None


def _updated(b: Any, read: Read, update: Any, candidate: Any, hidden: Any) -> Any:
    """The state after a GRU's update gate and candidate, before their activations."""
    kept = sigmoid(b, update)
    new = b.fmul(b.fsub(_number(1, kept), kept), hyperbolic_tangent(b, candidate))
    return fma(b, kept, read(hidden, 0), new)


def _rnn(b: Any, read: Read, gates: Any, given: Any, hidden: Any, cell: Any) -> tuple[Any, None]:
    return hyperbolic_tangent(b, read(gates, 0)), None


def _rnn_relu(b: Any, read: Read, gates: Any, given: Any, hidden: Any, cell: Any) -> tuple[Any, None]:
    value = read(gates, 0)
    zero = ir.Constant(value.type, None)
    return b.select(b.fcmp_ordered("<", value, zero), zero, value), None


CELLS = {LSTM: _lstm, GRU: _gru, GRU_LINEAR: _gru_linear, RNN: _rnn, RNN_RELU: _rnn_relu}


def _without_least(b: Any, state: Any) -> Any:
    size = call(b, f"llvm.fabs.v{state.type.count}f32", state.type, [state])
    return b.select(b.fcmp_ordered("<", size, _number(LEAST, state)), ir.Constant(state.type, None), state)


def _over_vectors(lanes: Any, emit: Callable[..., None]) -> Any:
    """Code of an intrinsic that takes ``hidden`` elements last: ``emit(builder, read, write, *addresses)`` for each vector,
    ``write(value, rows)``."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        *addresses, hidden = (value for value, kind in zip(arguments, signature.args, strict=True) if kind == types.intp)
        vector = ir.VectorType(F32, len(lanes))
        width = ir.Constant(I64, vector.count)
        count = b.sdiv(b.add(hidden, ir.Constant(I64, vector.count - 1)), width)
        pitch = b.mul(count, width)
        with cgutils.for_range(b, count, intp=I64) as loop:
            first = b.mul(loop.index, width)

            def place(rows: Any, number: int) -> Any:
                return b.gep(pointer(b, rows), [b.add(first, b.mul(pitch, ir.Constant(I64, number)))])

            def read(rows: Any, number: int) -> Any:
                return load_vector(b, place(rows, number), vector)

            emit(b, read, lambda value, rows: store_vector(b, value, place(rows, 0)), *addresses)
        return context.get_dummy_value()

    return codegen


@intrinsic
def step_cell(typingctx: Any, lanes: Any, kind: Any, gates: Any, given: Any, hidden: Any, cell: Any, count: Any) -> Any:
    """Make the states ``hidden``, and ``cell`` where there is one, of ``count`` elements those after a step of the cell whose
    kind ``kind`` is as long as: ``given`` are what its inputs give the gates, ``gates`` with what the state gives, see
    :data:`CELLS`."""

    def emit(b: Any, read: Read, write: Any, gates: Any, given: Any, hidden: Any, cell: Any) -> None:
        state, inner = CELLS[len(kind)](b, read, gates, given, hidden, cell)
        write(_without_least(b, state), hidden)
        if inner is not None:
            write(inner, cell)

    return types.void(lanes, kind, *[types.intp] * 5), _over_vectors(lanes, emit)


@intrinsic
def reset_state(typingctx: Any, lanes: Any, gates: Any, hidden: Any, state: Any, count: Any) -> Any:
    """``state`` becomes ``hidden`` times a GRU's reset gate, the second row of ``gates``, before its activation."""

    def emit(b: Any, read: Read, write: Any, gates: Any, hidden: Any, state: Any) -> None:
        write(_without_least(b, b.fmul(sigmoid(b, read(gates, 1)), read(hidden, 0))), state)

    return types.void(lanes, *[types.intp] * 4), _over_vectors(lanes, emit)
