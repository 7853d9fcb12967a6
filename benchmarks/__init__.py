"""Scripts that print every number the README states; run them as ``python -m benchmarks.NAME``."""
