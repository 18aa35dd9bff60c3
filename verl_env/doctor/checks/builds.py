"""What stops a build from source: isolation, memory, a compiler that CUDA does not take."""

from __future__ import annotations

from verl_env.doctor.model import Check, Remedy

_ISOLATED = (
    r"(?:build_wheel|Getting requirements to build wheel|build_editable|Failed to build|build backend|setup\.py)"
)

CHECKS = (
    Check(
        id="c-compiler-release",
        theme="toolchain",
        severity="error",
        title="The C++ compiler is not of the releases that this CUDA takes",
        cause="Each CUDA toolkit works with a range of GCC releases; the one on PATH is older or newer.",
        remedy=Remedy(
            "Put another compiler first for the build.",
            ("module load gcc", 'export CC="$(command -v gcc)" CXX="$(command -v g++)"', 'export CUDAHOSTCXX="$CXX"'),
        ),
        covers=("F2",),
        sources=("flash-attention#246", "torch cpp_extension.py", "CUDA installation guide"),
        log=(
            r"version of \S*(?:g\+\+|gcc|c\+\+) \([\d.]+\) is (?:less|greater) than the m(?:in|ax)imum required",
            r"unsupported GNU version! gcc versions later than",
        ),
    ),
    Check(
        id="build-out-of-memory",
        theme="toolchain",
        severity="error",
        title="A build ran out of memory",
        cause="nvcc uses about 9 GB for each job of flash-attn; login nodes and cgroups kill it.",
        remedy=Remedy("Build with fewer jobs on a compute node, or take a wheel.", ("export MAX_JOBS=4",)),
        covers=("F13",),
        sources=("flash-attention#347", "flash-attention#945", "flash-attention#1038"),
        log=(
            r"Killed signal terminated program cc1plus",
            r"nvcc error\s*:\s*'\w+' died due to signal 9",
            r"(?s)\bKilled\b.{0,600}ninja: build stopped",
            r"(?s)ninja: build stopped: subcommand failed.{0,1500}\bKilled\b",
        ),
    ),
    Check(
        id="build-isolation",
        theme="toolchain",
        severity="error",
        title="A package is built in isolation and needs torch",
        cause="flash-attn, apex and TransformerEngine import torch to build, and an isolated build has none.",
        remedy=lambda facts: Remedy(
            "Build against the installed torch.", (facts.shell.install("flash-attn", build=True),)
        ),
        covers=("F14",),
        sources=("flash-attention#246", "flash-attention#1920", "uv#7015"),
        log=(
            rf"(?s){_ISOLATED}.{{0,3000}}No module named '?(?:torch|packaging|wheel)'?\b",
            r"This package may require .?torch.? at build time",
            r"No module named '?torch'?\b[^\n]{0,300}\bsetup\.py\b",
            r"depends on `torch`, but doesn't declare it as a build dependency",
        ),
    ),
)
