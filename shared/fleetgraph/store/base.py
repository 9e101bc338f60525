"""What a store is: items under a namespace and a key, which any thread of any graph may read and write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypedDict, cast

from fleetgraph.store.embeddings import Embedder, Embeddings, ensure_embeddings
from fleetgraph.store.texts import get_text_at_path, tokenize_path

Namespace = tuple[str, ...]
_Dict = dict[str, Any]
"""`Item` has a method of that name, as LangGraph's has."""


class NotProvided:
    """The type of `NOT_PROVIDED`, which stands for an argument that was not given where None means something."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_PROVIDED: Final = NotProvided()


class Item:
    """What a store holds under a namespace and a key."""

    __slots__ = ("created_at", "key", "namespace", "updated_at", "value")

    def __init__(
        self, *, value: _Dict, key: str, namespace: Namespace, created_at: datetime, updated_at: datetime
    ) -> None:
        """Times may be given as ISO 8601 text, and the namespace as a list: so they come out of JSON."""
        self.value = value
        self.key = key
        self.namespace = tuple(namespace)
        self.created_at = _time(created_at)
        self.updated_at = _time(updated_at)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Item)
            and (self.namespace, self.key, self.value) == (other.namespace, other.key, other.value)
            and (self.created_at, self.updated_at) == (other.created_at, other.updated_at)
        )

    def __hash__(self) -> int:
        return hash((self.namespace, self.key))

    def dict(self) -> _Dict:
        """All of it, ready for JSON as far as the value is."""
        return {
            "namespace": list(self.namespace),
            "key": self.key,
            "value": self.value,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }

    def __repr__(self) -> str:
        return f"Item({', '.join(f'{name}={value!r}' for name, value in self.dict().items())})"


class SearchItem(Item):
    """An item that a search found; `score` says how near it is to the query, where there was one to rank by."""

    __slots__ = ("score",)

    def __init__(
        self,
        namespace: Namespace,
        key: str,
        value: _Dict,
        created_at: datetime,
        updated_at: datetime,
        score: float | None = None,
    ) -> None:
        super().__init__(value=value, key=key, namespace=namespace, created_at=created_at, updated_at=updated_at)
        self.score = score

    def dict(self) -> _Dict:
        return {**super().dict(), "score": self.score}


def _time(given: datetime | str) -> datetime:
    return datetime.fromisoformat(given) if isinstance(given, str) else given


# --- operations --------------------------------------------------------------------------------------------------


class GetOp(NamedTuple):
    """Read one item."""

    namespace: Namespace
    key: str
    refresh_ttl: bool = True
    """Whether the item's time to live begins anew."""


class SearchOp(NamedTuple):
    """Find items in a namespace and those below it."""

    namespace_prefix: Namespace
    """`()` for the whole store."""
    filter: dict[str, Any] | None = None
    """What the value must have; see `BaseStore.search`."""
    limit: int = 10
    offset: int = 0
    query: str | None = None
    """Text to rank by nearness in meaning, in a store that was given an `index`."""
    refresh_ttl: bool = True
    """Whether the time to live of the items found begins anew."""


NamespacePath = tuple[str | Literal["*"], ...]
"""A part of a namespace, in which `*` stands for any one label."""

NamespaceMatchType = Literal["prefix", "suffix"]


class MatchCondition(NamedTuple):
    """How a namespace must begin or end."""

    match_type: NamespaceMatchType
    path: NamespacePath


class ListNamespacesOp(NamedTuple):
    """List the namespaces that have items."""

    match_conditions: tuple[MatchCondition, ...] | None = None
    """All of them must hold."""
    max_depth: int | None = None
    """Longer namespaces are cut to so many labels, and listed once."""
    limit: int = 100
    offset: int = 0


class PutOp(NamedTuple):
    """Store one item, or delete it."""

    namespace: Namespace
    key: str
    value: Mapping[str, Any] | None
    """None deletes the item."""
    index: Literal[False] | list[str] | None = None  # pyright: ignore[reportIncompatibleMethodOverride] (as LangGraph's)
    """The paths in the value to find the item by in a search by meaning; None: the store's own; False: not at all."""
    ttl: float | None = None
    """Minutes after its last use at which the item expires; None: never."""


Op = GetOp | SearchOp | PutOp | ListNamespacesOp
Result = Item | list[Item] | list[SearchItem] | list[Namespace] | None


class InvalidNamespaceError(ValueError):
    """A namespace that no store takes."""


# --- configuration -----------------------------------------------------------------------------------------------


class TTLConfig(TypedDict, total=False):
    """How long items live. Expired ones are never answered, whenever it is that they are really deleted."""

    refresh_on_read: bool
    """Whether reading and finding an item begins its time anew where the call does not say. By default, True."""
    omit_expired: bool
    """Of LangGraph's stores; here always so."""
    default_ttl: float | None
    """Minutes, for items put without a `ttl`. By default None: they never expire."""
    sweep_interval_minutes: int | None
    """Of LangGraph's stores; here nothing has to be swept."""


class IndexConfig(TypedDict, total=False):
    """How a store finds items by meaning."""

    dims: int
    """The length of an embedding."""
    embed: Embedder
    """Makes embeddings: LangChain `Embeddings`, a function of a list of texts, an async one, or `provider:model`."""
    fields: list[str] | None
    """The paths in values whose texts are embedded, as `title`, `author.name`, `parts[*].text`. By default `["$"]`:
    the whole value, as JSON."""


# --- the store ---------------------------------------------------------------------------------------------------


class BaseStore(ABC):
    """Items that outlive threads: what a user told, what an agent learnt.

    A store implements `batch` and `abatch`; the rest is made of them. Namespaces are tuples of labels, as
    `("users", "ada")`: text without periods and NUL, not empty, and not beginning with `langgraph`.

    Example:
        >>> store.put(("users", "ada"), "food", {"likes": "figs"})
        >>> store.get(("users", "ada"), "food").value
        {'likes': 'figs'}
        >>> [item.key for item in store.search(("users",), filter={"likes": "figs"})]
        ['food']
    """

    supports_ttl: bool = False
    ttl_config: TTLConfig | None = None

    shared: ClassVar[bool] = False
    """Whether every process of a fleet sees the same data."""

    @abstractmethod
    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations; gives a result for each, in their order.

        All that is read is as it was before the batch. Of several puts of one item, the last one counts.
        """

    @abstractmethod
    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch`, for async code."""

    def get(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """The item, or None if there is none.

        Args:
            namespace: Where it is.
            key: Its name there.
            refresh_ttl: Whether its time to live begins anew; None: as the store is configured.

        Raises:
            InvalidNamespaceError: The namespace has a label that none can have.
        """
        return cast("Item | None", self.batch([_get_op(self, namespace, key, refresh_ttl)])[0])

    async def aget(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """`get`, for async code."""
        return cast("Item | None", (await self.abatch([_get_op(self, namespace, key, refresh_ttl)]))[0])

    def search(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """The items in a namespace and those below it, the longest stored first, namespace by namespace.

        With a query, in a store that has an `index`, the nearest in meaning come first. Without an `index` a query
        changes nothing, as in LangGraph.

        Args:
            namespace_prefix: How their namespaces begin; `()` for all.
            query: What to look for, in words.
            filter: What fields of the value must be: `{"kind": "note", "size": {"$gt": 3}}`. The operators are `$eq`,
                `$ne`, `$gt`, `$gte`, `$lt` and `$lte`; the last four compare numbers.
            limit: The largest number of items.
            offset: How many to pass over.
            refresh_ttl: Whether the time to live of the items found begins anew; None: as the store is configured.

        Raises:
            InvalidNamespaceError: The prefix has a label that none can have.
        """
        op = _search_op(self, namespace_prefix, query, filter, limit, offset, refresh_ttl)
        return cast("list[SearchItem]", self.batch([op])[0])

    async def asearch(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """`search`, for async code."""
        op = _search_op(self, namespace_prefix, query, filter, limit, offset, refresh_ttl)
        return cast("list[SearchItem]", (await self.abatch([op]))[0])

    def put(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Literal[False] | list[str] | None = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Store a value, in the place of the one that may be there.

        Args:
            namespace: Where; it must not be empty.
            key: Its name there.
            value: What to store.
            index: Paths in the value to find it by in a search by meaning; None: those of the store; False: none.
            ttl: Minutes after its last use at which it expires; None: never. Not given: as the store is configured.

        Raises:
            InvalidNamespaceError: The namespace is one that no store takes.
            NotImplementedError: A `ttl` was given, and this store has none.
        """
        self.batch([_put_op(self, namespace, key, value, index, ttl)])

    async def aput(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Literal[False] | list[str] | None = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """`put`, for async code."""
        await self.abatch([_put_op(self, namespace, key, value, index, ttl)])

    def delete(self, namespace: Namespace, key: str) -> None:
        """Delete an item, if there is one.

        Raises:
            InvalidNamespaceError: The namespace has a label that none can have.
        """
        validate_labels(namespace)
        self.batch([PutOp(namespace, str(key), None)])

    async def adelete(self, namespace: Namespace, key: str) -> None:
        """`delete`, for async code."""
        validate_labels(namespace)
        await self.abatch([PutOp(namespace, str(key), None)])

    def list_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Namespace]:
        """The namespaces that have items, sorted.

        Args:
            prefix: How they begin; `*` stands for any label.
            suffix: How they end.
            max_depth: Cuts longer ones to so many labels; each is listed once.
            limit: The largest number of them.
            offset: How many to pass over.

        Raises:
            InvalidNamespaceError: Prefix or suffix has a label that none can have.
        """
        op = _list_namespaces_op(prefix, suffix, max_depth, limit, offset)
        return cast("list[Namespace]", self.batch([op])[0])

    async def alist_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Namespace]:
        """`list_namespaces`, for async code."""
        op = _list_namespaces_op(prefix, suffix, max_depth, limit, offset)
        return cast("list[Namespace]", (await self.abatch([op]))[0])


# Not methods: a store of somebody else's may have methods of any name.


def _get_op(store: BaseStore, namespace: Namespace, key: str, refresh_ttl: bool | None) -> GetOp:
    validate_labels(namespace)
    return GetOp(namespace, str(key), _refreshes(store, refresh_ttl))


def _search_op(
    store: BaseStore,
    prefix: Namespace,
    query: str | None,
    filter: dict[str, Any] | None,
    limit: int,
    offset: int,
    refresh_ttl: bool | None,
) -> SearchOp:
    validate_labels(prefix)
    return SearchOp(prefix, filter, limit, offset, query, _refreshes(store, refresh_ttl))


def _put_op(
    store: BaseStore,
    namespace: Namespace,
    key: str,
    value: Mapping[str, Any],
    index: Literal[False] | list[str] | None,
    ttl: float | NotProvided | None,
) -> PutOp:
    validate_namespace(namespace)
    if isinstance(ttl, NotProvided):
        ttl = (store.ttl_config or {}).get("default_ttl")
    elif ttl is not None and not store.supports_ttl:
        raise NotImplementedError(
            f"TTL is not supported by {type(store).__name__}. "
            "Use a store implementation that supports TTL or set ttl=None."
        )
    return PutOp(namespace, str(key), value, index, ttl)


def _list_namespaces_op(
    prefix: NamespacePath | None, suffix: NamespacePath | None, max_depth: int | None, limit: int, offset: int
) -> ListNamespacesOp:
    conditions: list[MatchCondition] = []
    if prefix:
        validate_labels(prefix)
        conditions.append(MatchCondition("prefix", prefix))
    if suffix:
        validate_labels(suffix)
        conditions.append(MatchCondition("suffix", suffix))
    return ListNamespacesOp(tuple(conditions), max_depth, limit, offset)


def _refreshes(store: BaseStore, refresh_ttl: bool | None) -> bool:
    return (store.ttl_config or {}).get("refresh_on_read", True) if refresh_ttl is None else refresh_ttl


# --- namespaces --------------------------------------------------------------------------------------------------


def validate_namespace(namespace: Namespace) -> None:
    """Check that something may be stored there.

    Raises:
        InvalidNamespaceError: No.
    """
    if not namespace:
        raise InvalidNamespaceError("Namespace cannot be empty.")
    validate_labels(namespace)
    if namespace[0] == "langgraph":
        raise InvalidNamespaceError(f'Root label for namespace cannot be "langgraph". Got: {namespace}')


def validate_labels(namespace: tuple[Any, ...]) -> None:
    """Check each label of a namespace, or of a part of one.

    Raises:
        InvalidNamespaceError: One is empty, no text, or has a period or NUL in it.
    """
    for label in namespace:
        found = f"Invalid namespace label '{label}' found in {namespace}."
        if not isinstance(label, str):
            raise InvalidNamespaceError(f"{found} Namespace labels must be strings, but got {type(label).__name__}.")
        if "." in label:
            raise InvalidNamespaceError(f"{found} Namespace labels cannot contain periods ('.').")
        if "\x00" in label:
            raise InvalidNamespaceError(f"{found} Namespace labels cannot contain NUL bytes ('\\x00').")
        if not label:
            raise InvalidNamespaceError(f"Namespace labels cannot be empty strings. Got {label} in {namespace}")


def validate_op_namespace(op: Op) -> None:
    """Check the labels of an operation, for stores that make text of a namespace: `batch` takes it unchecked.

    Raises:
        InvalidNamespaceError: One is empty, no text, or has a period or NUL in it.
    """
    match op:
        case GetOp() | PutOp():
            validate_labels(op.namespace)
        case SearchOp():
            validate_labels(op.namespace_prefix)
        case ListNamespacesOp():
            for condition in op.match_conditions or ():
                validate_labels(condition.path)


__all__ = [
    "NOT_PROVIDED",
    "BaseStore",
    "Embeddings",
    "GetOp",
    "IndexConfig",
    "InvalidNamespaceError",
    "Item",
    "ListNamespacesOp",
    "MatchCondition",
    "NamespaceMatchType",
    "NamespacePath",
    "NotProvided",
    "Op",
    "PutOp",
    "Result",
    "SearchItem",
    "SearchOp",
    "TTLConfig",
    "ensure_embeddings",
    "get_text_at_path",
    "tokenize_path",
    "validate_op_namespace",
]
