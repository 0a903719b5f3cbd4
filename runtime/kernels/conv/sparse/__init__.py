"""Convolution by the nonzero weights alone."""
