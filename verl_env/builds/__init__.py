"""Native components built from source: preflight, environment, sources, the build, and a cache of results."""
