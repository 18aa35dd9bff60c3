"""A catalogue of native components that is newer than the release: fetched, verified, published."""
