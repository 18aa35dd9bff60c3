"""Compiled files, read without loading them: ELF objects, their symbols, their GPU code, and what the loader takes."""
