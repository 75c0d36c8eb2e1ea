"""BenchLab Linux Telemetry: the parts that two or more of its programs share."""

__version__ = "0.1.0"
