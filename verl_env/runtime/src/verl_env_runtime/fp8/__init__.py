"""FP8 block quantization: quantizing weights, and loading them a second time into a running model."""
