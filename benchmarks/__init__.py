"""How fast and how small: one script for each promise about numbers; results in RESULTS.md."""
