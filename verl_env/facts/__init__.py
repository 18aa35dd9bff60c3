"""The hardware tables held against what their sources publish for machines to read."""
