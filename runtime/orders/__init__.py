"""Orders that machine code carries out, and the threads that share them."""
