"""Which releases of a package have a module, a name, a member of a class or an argument; it is generated."""
