"""Pools over planes: what their windows are, and the code that folds them."""
