"""Compile C sources once per machine with the system's C compiler, and load them."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("kernels.c")
HEADERS = tuple(SOURCE.parent.glob("*.h"))  # which sources may include
TIMEOUT_S = 60

# -march=native: this machine's widest vectors. -ffp-contract: a product and its sum round once.
# -fno-trapping-math: loops with comparisons become vector code; nobody looks at the traps.
# Not -ffast-math, in which NaN and infinity need not stay so: the source says which sums may be
# reordered.
FLAGS = ("-std=c11", "-O3", "-march=native", "-ffp-contract=fast", "-fno-trapping-math")
# The first that works. Torch has loaded a library named libgomp.so.1 (its own copy, in wheels), and
# a name is loaded once in a process: these kernels share its threads. Without OpenMP: one thread.
THREADS = (("-fopenmp",), ("-fopenmp-simd",))


class BuildError(RuntimeError):
    """The kernels can't be had here; the message says why."""


def cache_folder() -> Path:
    """Return the user's folder for compiled kernels."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sightline" / "native"


def find_compiler() -> str:
    """Return the path of ``$CC`` or of the first C compiler found.

    Raises:
        BuildError: there is none.
    """
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    for name in names:
        path = shutil.which(name) if name else None
        if path:
            return path
    raise BuildError("no C compiler (cc, gcc or clang) on PATH")


def processor() -> str:
    """Describe the processor: code for one may not run on another that shares a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    # of the first core; arm64 names its own "CPU part" and "Features"
    kept = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    first = {line.split(":")[0].strip(): line for line in reversed(lines) if line.startswith(kept)}
    return "\n".join([platform.machine(), *(first[name] for name in sorted(first))])


def _run(command: list[str]) -> str:
    """Run a command; return what it prints.

    Raises:
        BuildError: it fails or takes too long.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{command[0]} did not run: {error}") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed: {done.stderr.strip()[:500]}")
    return done.stdout


def _compile(compiler: str, flags: tuple[str, ...], source: Path, target: Path) -> None:
    """Compile to ``target``, which appears whole or not at all: processes may race for it."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, suffix=".part")
    os.close(handle)
    try:
        _run([compiler, *flags, "-shared", "-fPIC", str(source), "-o", part, "-lm"])
        os.replace(part, target)
    except BuildError:
        os.unlink(part)
        raise


def load_library(*defines: str, source: Path | None = None) -> ctypes.CDLL:
    """Return the loaded kernels, compiled unless this machine has done so before.

    Args:
        defines: further options of the compiler, as ``-DBF16``.
        source: what to compile, it may include `SOURCE`; None for that itself.

    Raises:
        BuildError: no compiler, or it fails, or its result can't be stored or loaded.
    """
    source = source or SOURCE
    texts = [file.read_text(encoding="utf-8") for file in (source, SOURCE, *sorted(HEADERS))]
    compiler = find_compiler()
    version = _run([compiler, "--version"])
    failures = []
    for threads in THREADS:
        flags = (*FLAGS, *threads, *defines)
        key = "\0".join((*texts, *flags, version, processor()))
        target = (
            cache_folder() / f"{source.stem}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.so"
        )
        try:
            if not target.exists():
                _compile(compiler, flags, source, target)
            return ctypes.CDLL(str(target))
        except (OSError, BuildError) as error:
            failures.append(str(error))
    raise BuildError("; ".join(failures))
