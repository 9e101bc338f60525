"""Finding items by meaning: their texts as vectors, and how near those are to that of a query."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from fleetgraph.store.texts import get_text_at_path, tokenize_path

if TYPE_CHECKING:
    from fleetgraph.store.base import IndexConfig, PutOp

Vector = Sequence[float]
"""An embedding; those that a store keeps have the length 1, or 0."""


class Embeddings(Protocol):
    """What makes embeddings; LangChain's class of that name is one."""

    def embed_documents(self, texts: list[str], /) -> list[list[float]]: ...
    def embed_query(self, text: str, /) -> list[float]: ...
    async def aembed_documents(self, texts: list[str], /) -> list[list[float]]: ...
    async def aembed_query(self, text: str, /) -> list[float]: ...


_Function = Callable[[list[str]], list[list[float]]] | Callable[[list[str]], Awaitable[list[list[float]]]]

Embedder = Embeddings | _Function | str
"""What `ensure_embeddings` takes."""

_WHOLE: Final = "$"


def ensure_embeddings(embed: Embedder | None) -> Embeddings:
    """`embed` as an object that makes embeddings.

    Args:
        embed: One already; or a function of a list of texts, which may be async: then only async code can use the
            store; or `provider:model`, as LangChain's `init_embeddings` takes it.

    Raises:
        ValueError: It is None, or text and LangChain is not installed.
    """
    if embed is None:
        raise ValueError("embed must be provided")
    if isinstance(embed, str):
        try:
            from langchain.embeddings import init_embeddings  # pyright: ignore
        except ImportError as error:
            raise ValueError(
                f"Could not load embeddings from string '{embed}': that needs langchain>=0.3.9 and the package of the "
                "provider. Install them, or give embed as an Embeddings object or a function."
            ) from error
        return cast(Embeddings, init_embeddings(embed))
    if hasattr(embed, "embed_documents"):
        return cast(Embeddings, embed)
    return _FunctionEmbeddings(cast("Callable[[list[str]], Any]", embed))


class _FunctionEmbeddings:
    def __init__(self, function: Callable[[list[str]], Any]) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 (to know whether the call is async)
        )

    def embed_documents(self, texts: list[str], /) -> list[list[float]]:
        if self._is_async:
            raise ValueError(
                "the store was given an async function to embed with, so only its async methods can search by meaning "
                "and store what is to be found so. Call those, or give it a sync function."
            )
        return self._function(texts)

    def embed_query(self, text: str, /) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str], /) -> list[list[float]]:
        if self._is_async:
            return await self._function(texts)
        return await asyncio.to_thread(self._function, texts)

    async def aembed_query(self, text: str, /) -> list[float]:
        return (await self.aembed_documents([text]))[0]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors that a batch needs."""

    queries: Mapping[str, Vector]
    texts: Mapping[str, Vector]

    def of(self, texts: Iterable[str]) -> list[Vector]:
        """The vectors of an item's texts."""
        return [self.texts[text] for text in texts]

    def nearness(self, query: str, vectors: Iterable[Vector]) -> float | None:
        """How near the nearest of an item's vectors is to a query, at most 1; None for an item that has none."""
        wanted = self.queries[query]
        return max((sum(map(mul, wanted, vector)) for vector in vectors), default=None)


class SemanticIndex:
    """What a store that was given an `index` knows: which texts of an item to embed, and how."""

    def __init__(self, config: IndexConfig) -> None:
        self._embeddings = ensure_embeddings(config.get("embed"))
        self._dims = config.get("dims")
        self._fields = [_tokens(field) for field in config.get("fields") or [_WHOLE]]

    def texts(self, put: PutOp) -> list[str]:
        """The texts that an item is to be found by."""
        if put.value is None or put.index is False:
            return []
        fields = self._fields if put.index is None else [_tokens(field) for field in put.index]
        return [text for field in fields for text in get_text_at_path(put.value, field)]

    def embed(self, queries: Iterable[str], puts: Iterable[PutOp]) -> Embedded:
        """The vectors of these queries, and of the texts of these items."""
        texts = self._all_texts(puts)
        return Embedded(
            {query: self._unit(self._embeddings.embed_query(query)) for query in set(queries)},
            self._by_text(texts, self._embeddings.embed_documents(texts) if texts else []),
        )

    async def aembed(self, queries: Iterable[str], puts: Iterable[PutOp]) -> Embedded:
        """`embed`, for async code."""
        texts, different = self._all_texts(puts), list(set(queries))
        vectors = await asyncio.gather(*map(self._embeddings.aembed_query, different))
        return Embedded(
            {query: self._unit(vector) for query, vector in zip(different, vectors, strict=True)},
            self._by_text(texts, await self._embeddings.aembed_documents(texts) if texts else []),
        )

    def _all_texts(self, puts: Iterable[PutOp]) -> list[str]:
        return list(dict.fromkeys(text for put in puts for text in self.texts(put)))

    def _by_text(self, texts: list[str], vectors: list[list[float]]) -> dict[str, Vector]:
        if len(texts) != len(vectors):
            raise ValueError(f"embed made {len(vectors)} embeddings of {len(texts)} texts: it has to make one of each")
        return {text: self._unit(vector) for text, vector in zip(texts, vectors, strict=True)}

    def _unit(self, vector: Vector) -> Vector:
        if self._dims is not None and len(vector) != self._dims:
            raise ValueError(f"embed made an embedding of {len(vector)} dimensions, but the index has {self._dims}")
        length = sum(map(mul, vector, vector)) ** 0.5
        return [float(number) / length for number in vector] if length else list(vector)


def _tokens(path: str) -> str | list[str]:
    return path if path == _WHOLE else tokenize_path(path)
