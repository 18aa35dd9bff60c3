"""Installers see nothing of this host's settings here, as in the tests of installations."""

from tests.install.conftest import clean_settings, installer_caches, runtime_source, steady_runtime, target_path

__all__ = ["clean_settings", "installer_caches", "runtime_source", "steady_runtime", "target_path"]
