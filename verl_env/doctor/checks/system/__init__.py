"""What the machine, its loader, its compilers and its scheduler say."""
