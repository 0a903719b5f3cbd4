"""Convolution by Winograd's method: dense kernels of 3 x 3 with a quarter of the multiplications."""
