"""Integer arithmetic of quantised operators."""
