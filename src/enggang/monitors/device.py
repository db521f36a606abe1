"""Where tensors live and whether kernels are compiled."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeVar

import torch

from enggang.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
CompilePolicy = Literal["auto", "always", "never"]

#: Options of glibc's mallopt, and the size below which freed memory stays with the process.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _KEPT_BYTES = -1, -3, 32 << 20


def pick_device(wanted: str) -> str:
    """`auto` → "cuda" where there is one, else "cpu"; anything else is checked and returned.

    Raises `ConfigError` for a device that torch doesn't know or that isn't there.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"device {wanted!r} can't be used ({first})", "set ENGGANG_DEVICE=auto") from error
    return wanted


@lru_cache(maxsize=1)
def keep_heap() -> bool:
    """Let glibc keep freed memory: block-sized temporaries then cost no page faults. True where that was possible."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    trim, mmap = (mallopt(option, _KEPT_BYTES) for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD))
    return bool(trim and mmap)


@lru_cache(maxsize=1)
def has_compiler() -> bool:
    """True where torch.compile can build CPU kernels."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def compiled(function: F, policy: CompilePolicy, much: bool) -> F:
    """`function`, compiled where the policy says so, or leaves it open and there is so `much` work that compiling pays;
    else as it is (eager)."""
    wanted = policy == "always" or (policy == "auto" and much)
    return _compile(function) if wanted and has_compiler() else function


@lru_cache(maxsize=32)
def _compile(function: Any) -> Any:
    return torch.compile(function, dynamic=False)
