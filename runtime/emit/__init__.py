"""What kernels are written with where Numba has no word for it: vectors, memory and whole walks, in LLVM IR."""
