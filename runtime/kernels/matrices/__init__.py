"""Products of matrices: fully connected layers from lists of nonzeros, from panels and from encoded blocks, and stacks."""
