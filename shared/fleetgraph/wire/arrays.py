"""numpy arrays and scalars on the wire: data type, shape, bytes.

numpy is imported only to build one that arrived.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, cast

from fleetgraph.wire.kinds import ARRAY, SCALAR, Plain, Refusal


def array_plain(cls: type[Any]) -> tuple[int, Plain] | None:
    """Code and plain form of numpy's array and scalar types; None for every other type. Imports nothing."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    if cls is numpy.ndarray:
        return ARRAY, _array
    return (SCALAR, _scalar) if issubclass(cls, numpy.generic) and cls.__module__ == "numpy" else None


def build_array(plain: Any) -> Any:
    """The array, writable and in C order, of what `array_plain` made of it."""
    descr, shape, data = plain
    if not isinstance(shape, list):
        raise TypeError(f"expected list, got {type(shape).__name__}")
    return _view(descr, tuple(cast("list[Any]", shape)), data).copy()


def build_scalar(plain: Any) -> Any:
    """The scalar of what `array_plain` made of it."""
    descr, data = plain
    return _view(descr, (), data).copy()[()]


def _array(value: Any) -> list[Any]:
    return [_describe(value), list(value.shape), value.tobytes()]


def _scalar(value: Any) -> list[Any]:
    return [_describe(value), value.tobytes()]


def _describe(value: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    dtype = value.dtype
    if dtype.hasobject:
        raise Refusal(value, "Give it a data type without Python objects, or send value.tolist().")
    descr = numpy.lib.format.dtype_to_descr(dtype) if dtype.names else dtype.str
    if (numpy.lib.format.descr_to_dtype(descr) if dtype.names else numpy.dtype(descr)) != dtype:
        raise Refusal(value, f"Its data type {dtype} is not one of numpy's own: use astype first.")
    return descr


def _view(descr: Any, shape: tuple[Any, ...], data: Any) -> Any:
    numpy: Any = importlib.import_module("numpy")
    dtype = numpy.dtype(descr) if isinstance(descr, str) else numpy.lib.format.descr_to_dtype(descr)
    if dtype.hasobject:
        raise ValueError("the data type holds Python objects")
    if not isinstance(data, bytes):
        raise TypeError(f"expected bytes, got {type(data).__name__}")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"{shape} is no shape")
    view = numpy.ndarray(shape, dtype, data)
    if view.nbytes != len(data):
        raise ValueError(f"{len(data)} bytes for an array of {view.nbytes}")
    return view
