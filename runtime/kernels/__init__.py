"""Numba kernels. Importing a module here imports Numba: do so only once a plan needs the kernel."""
