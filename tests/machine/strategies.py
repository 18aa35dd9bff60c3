"""Hypothesis strategies for machines: any mixture of known, absent and unknown facts."""

from hypothesis import strategies as st

from verl_env.machine.model import (
    UNKNOWN,
    Amd,
    AmdDevice,
    Host,
    Machine,
    Nvidia,
    NvidiaDevice,
    Problem,
    PythonInterpreter,
    Toolchain,
)

words = st.text("abcdefghij 0123456789-", min_size=1, max_size=12)
dotted = st.lists(st.integers(0, 999), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
capabilities = st.sampled_from(["6.0", "7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0", "12.1"])
gfx = st.sampled_from(["gfx906", "gfx90a", "gfx942", "gfx950", "gfx1036", "gfx1100"])
sizes = st.integers(0, 2**50)


def known(values):
    return st.just(UNKNOWN) | values


def fact(values):
    return st.none() | known(values)


hosts = st.builds(
    Host,
    os=fact(words),
    os_version=fact(words),
    kernel=fact(words),
    arch=known(st.sampled_from(["x86_64", "aarch64", "ppc64le"])),
    glibc=fact(dotted),
    musl=fact(words),
    cpus=known(st.integers(1, 512)),
    memory_bytes=known(sizes),
    wsl=known(st.booleans()),
    container=fact(words),
    jetson=fact(words),
)
nvidia_devices = st.builds(
    NvidiaDevice,
    index=st.integers(0, 15),
    name=fact(words),
    uuid=fact(words),
    compute_capability=fact(capabilities),
    memory_bytes=fact(sizes),
    mig=known(st.booleans()),
    compute_mode=fact(words),
    pci_id=fact(words),
)
nvidias = st.builds(
    Nvidia, driver=fact(dotted), cuda=fact(dotted), devices=st.lists(nvidia_devices, max_size=4).map(tuple)
)
amd_devices = st.builds(
    AmdDevice,
    index=st.integers(0, 15),
    name=fact(words),
    gfx=fact(gfx),
    memory_bytes=fact(sizes),
    pci_id=fact(words),
)
amds = st.builds(Amd, driver=fact(words), rocm=fact(dotted), devices=st.lists(amd_devices, max_size=4).map(tuple))
toolchains = st.builds(
    Toolchain,
    nvcc=fact(dotted),
    cuda_home=fact(words),
    gcc=fact(dotted),
    gxx=fact(dotted),
    hipcc=fact(dotted),
    cmake=fact(dotted),
    ninja=fact(dotted),
    paths=st.dictionaries(words, words, max_size=2),
)
interpreters = st.builds(PythonInterpreter, version=st.sampled_from(["3.9.1", "3.10.13", "3.12.4"]), path=words)
machines = st.builds(
    Machine,
    host=hosts,
    nvidia=fact(nvidias),
    amd=fact(amds),
    toolchain=known(toolchains),
    pythons=known(st.lists(interpreters, max_size=3).map(tuple)),
    sources=st.dictionaries(words, words, max_size=3),
    problems=st.lists(st.builds(Problem, id=words, message=words), max_size=2).map(tuple),
)
