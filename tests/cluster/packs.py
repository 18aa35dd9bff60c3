"""A small pack for tests: all that a pack must have, without an interpreter."""

import os

from verl_env.bundle.packing.image import make_image
from verl_env.bundle.packing.listing import write_listing
from verl_env.bundle.packing.model import FILE, Pack, to_bytes


def small_pack(folder, *, kind="squashfs", size=1 << 20, text="demo\n"):
    """Writes one; ``size`` bytes of it cannot be compressed."""
    prefix = folder / "prefix"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/demo").write_text(text)
    (prefix / "bin/python").symlink_to("demo")
    (prefix / "large").write_bytes(os.urandom(size))
    described = Pack("verl0.1-cu124/app.demo", "demo", "3.11", os.uname().machine, None, (), (), 3, size, "0", "/x")
    (prefix / FILE).write_bytes(to_bytes(described))
    write_listing(prefix)
    file = folder / f"demo{'.squashfs' if kind == 'squashfs' else '.tar.zst'}"
    make_image(prefix, file, kind, 1)
    return file
