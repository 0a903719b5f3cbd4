"""Python functions made into machine code, by Numba, and that kept between processes. Nothing here knows of models."""
