"""NVIDIA GPUs through NVML, the driver's own library, by its binding nvidia-ml-py."""
