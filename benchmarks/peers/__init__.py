"""The contenders, one a file, each with `run(job) -> dict`; `stock` and `picking` are shared."""
