"""Strings that every reader knows, so that a small file need not spell them (SPEC.md, section 4.2).

The order is part of the format: a string's index is its meaning. The 64 most used come first because they take one byte.
"""

from __future__ import annotations

_WORDS = """
Conv Relu Add Mul BatchNormalization Concat Div Clip Reshape MaxPool Sum Cast Transpose GlobalAveragePool HardSigmoid
AveragePool Gemm Slice MatMul Softmax ReduceMean Resize Shape Sigmoid Squeeze Unsqueeze LRN Sub Pow Sqrt ConvTranspose
Flatten Pad Identity Gather LayerNormalization Gelu Tanh kernel_shape strides pads dilations group auto_pad epsilon
momentum axis axes perm to keepdims transA transB alpha beta ceil_mode count_include_pad storage_order mode size bias
input output N batch

Split Expand Where Erf Exp Log Neg Abs Max Min Tile LeakyRelu PRelu Elu HardSwish Softplus InstanceNormalization
LogSoftmax ReduceSum ReduceMax ArgMax LSTM GRU RNN QuantizeLinear DequantizeLinear GroupNormalization RMSNormalization
Attention Equal Less Greater GreaterOrEqual Not And Or Floor Ceil Round DepthToSpace SpaceToDepth Einsum CumSum TopK
GlobalMaxPool hidden_size direction activations activation_alpha activation_beta clip layout linear_before_reset
coordinate_transformation_mode nearest_mode cubic_coeff_a output_padding output_shape num_outputs allowzero approximate
"""

WELL_KNOWN: tuple[str, ...] = tuple(_WORDS.split())
