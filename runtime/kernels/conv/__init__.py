"""Convolution: geometry, costs, packing, and which of four ways runs one."""
