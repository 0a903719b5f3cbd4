"""Convolution by weights that are mostly there: a product of dense matrices."""
