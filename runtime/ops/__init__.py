"""ONNX operators: one file each (or each true family), a numpy reference and, where it pays, a lowering to a Numba kernel."""
