"""Whether what a plan needs can be had, asked before anything is downloaded."""
