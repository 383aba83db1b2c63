"""A network of which only the shapes are there, for weights that come from elsewhere.

In: nothing. Out: a context in which modules take no memory. The idea: PyTorch's meta device, without drawing initial weights: on
that device drawing goes through Python decompositions whose import alone takes seconds.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def without_weights() -> Generator[None]:
    """Inside, modules are built on the meta device and `torch.nn.init` leaves tensors alone."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
