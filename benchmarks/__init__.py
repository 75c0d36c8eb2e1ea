"""The speed of the product beside plain programs that do the same: ``python -m benchmarks``."""
