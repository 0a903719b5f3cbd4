"""Convolution of channels that do not mix: each output channel reads one plane."""
