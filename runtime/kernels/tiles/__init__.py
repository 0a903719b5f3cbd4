"""Register tiles: sums that stay in registers while inputs and weights are walked, and how work is cut for them."""
