"""Jitted parts of the decoders, some of which encoders share: loops over bits, symbols and blocks."""
