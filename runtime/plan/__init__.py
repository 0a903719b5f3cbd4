"""From the portable graph to what this machine does for inputs of given shapes; made at load, never saved."""
