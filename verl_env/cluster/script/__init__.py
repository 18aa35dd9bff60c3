"""Job scripts: their text is data (``data/*.sh``, ``data/schedulers.toml``), put together here."""
