"""What a host is: GPUs, drivers, glibc, Pythons, toolchain."""
