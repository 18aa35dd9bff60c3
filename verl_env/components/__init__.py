"""Native components: which wheels are published, and how each is built, as data."""
