"""Finding items by meaning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store import base as theirs
from langgraph.store.memory import InMemoryStore as TheirStore

from fleetgraph.store.base import BaseStore, IndexConfig, PutOp, SearchItem, SearchOp
from fleetgraph.store.memory import InMemoryStore
from fleetgraph.store.texts import get_text_at_path, tokenize_path
from tests.store.conftest import NewStore

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPACE = ("n",)


def embed(texts: list[str]) -> list[list[float]]:
    """How often each letter is in a text: texts of the same letters mean the same."""
    return [[float(text.lower().count(letter)) for letter in LETTERS] for text in texts]


async def aembed(texts: list[str]) -> list[list[float]]:
    return embed(texts)


INDEX: IndexConfig = {"dims": len(LETTERS), "embed": embed, "fields": ["text"]}


def scored(found: list[SearchItem]) -> list[tuple[str, float | None]]:
    return [(item.key, None if item.score is None else round(item.score, 5)) for item in found]


def filled(store: BaseStore) -> BaseStore:
    for key, text in {"fig": "fig", "gif": "gif figs", "dog": "dog", "none": None, "zoo": "zzz"}.items():
        store.put(SPACE, key, {} if text is None else {"text": text, "short": len(text) < 4})
    return store


def test_the_nearest_come_first_and_those_without_text_last(new_store: NewStore) -> None:
    store = filled(new_store(index=INDEX))
    assert [item.key for item in store.search((), query="FIG")] == ["fig", "gif", "dog", "zoo", "none"]
    assert [item.key for item in store.search((), query="fig", filter={"short": True})] == ["fig", "dog", "zoo"]
    assert [item.key for item in store.search((), query="fig", limit=2, offset=1)] == ["gif", "dog"]
    assert [item.key for item in store.search((), query="fig", limit=2, offset=3)] == ["zoo", "none"]
    assert scored(store.search((), query="fig", limit=1)) == [("fig", 1.0)]


def test_langgraph_has_the_same_scores(new_store: NewStore) -> None:
    store, reference = filled(new_store(index=INDEX)), TheirStore(index={**INDEX})  # pyright: ignore
    for item in store.search(()):
        reference.put(item.namespace, item.key, item.value)
    for query in ("fig", "good dog", "z"):
        wanted = [(item.key, item.score and round(item.score, 5)) for item in reference.search((), query=query)]
        assert scored(store.search((), query=query)) == wanted


def test_without_a_query_nothing_is_ranked(new_store: NewStore) -> None:
    store = filled(new_store(index=INDEX))
    assert scored(store.search((), limit=2)) == [("fig", None), ("gif", None)]


def test_an_item_can_have_an_index_of_its_own_or_none(new_store: NewStore) -> None:
    store = new_store(index=INDEX)
    store.put(SPACE, "own", {"text": "z", "tags": ["fig", "dog"]}, index=["tags[*]"])
    store.put(SPACE, "out", {"text": "fig"}, index=False)
    assert scored(store.search((), query="fig")) == [("own", 1.0), ("out", None)]
    assert scored(store.search((), query="dog")) == [("own", 1.0), ("out", None)]


def test_a_new_value_is_found_by_its_own_texts_alone(new_store: NewStore) -> None:
    store = new_store(index=INDEX)
    store.put(SPACE, "a", {"text": "fig"})
    store.put(SPACE, "a", {"text": "zoo"})
    assert scored(store.search((), query="fig")) == [("a", 0.0)]
    store.put(SPACE, "a", {"text": "fig"}, index=False)
    assert scored(store.search((), query="fig")) == [("a", None)]


def test_the_whole_value_is_embedded_by_default(new_store: NewStore) -> None:
    store = new_store(index={"dims": len(LETTERS), "embed": embed})
    store.put(SPACE, "a", {"f": ["i", {"g": 1}]})
    assert scored(store.search((), query="fig")) == [("a", 1.0)]


async def test_async_code_embeds_with_an_async_function(new_store: NewStore) -> None:
    store = new_store(index={**INDEX, "embed": aembed})
    await store.aput(SPACE, "a", {"text": "fig"})
    assert scored(await store.asearch((), query="gif")) == [("a", 1.0)]
    with pytest.raises(ValueError, match="only its async methods"):
        store.search((), query="fig")
    with pytest.raises(ValueError, match="only its async methods"):
        store.put(SPACE, "b", {"text": "fig"})


async def test_async_code_embeds_with_a_sync_function_and_with_embeddings(new_store: NewStore) -> None:
    from langchain_core.embeddings import DeterministicFakeEmbedding

    store = new_store(index=INDEX)
    await store.aput(SPACE, "a", {"text": "fig"})
    assert scored(await store.asearch((), query="gif")) == [("a", 1.0)]
    store = new_store(index={"dims": 8, "embed": DeterministicFakeEmbedding(size=8), "fields": ["text"]})
    await store.aput(SPACE, "a", {"text": "fig"})
    assert scored(await store.asearch((), query="fig")) == [("a", 1.0)]
    assert scored(store.search((), query="fig")) == [("a", 1.0)]


def test_each_text_is_embedded_once() -> None:
    seen: list[list[str]] = []

    def counting(texts: list[str]) -> list[list[float]]:
        seen.append(texts)
        return embed(texts)

    store = InMemoryStore(index={**INDEX, "embed": counting})
    store.batch([PutOp(SPACE, key, {"text": text}) for key, text in [("a", "fig"), ("b", "dog"), ("c", "fig")]])
    assert seen == [["fig", "dog"]]
    store.batch([SearchOp((), query="fig"), SearchOp(SPACE, query="fig"), SearchOp(())])
    assert seen[1:] == [["fig"]]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"embed": lambda texts: [[1.0]]}, "an embedding of 1 dimensions, but the index has 26"),
        ({"embed": lambda texts: []}, "made 0 embeddings of 1 texts"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(new_store: NewStore, index: Any, message: str) -> None:
    store = new_store(index={**INDEX, **index})
    with pytest.raises(ValueError, match=message):
        store.put(SPACE, "a", {"text": "fig"})
    assert store.get(SPACE, "a") is None


@pytest.mark.parametrize(("embed", "message"), [(None, "embed must be provided"), ("openai:x", "Could not load")])
def test_an_index_needs_something_to_embed_with(new_store: NewStore, embed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        new_store(index={**INDEX, "embed": embed})


# --- paths -------------------------------------------------------------------------------------------------------

PATHS = [
    "", "$", "a", "a.b", "a.b.c", "a[0]", "a[-1].b", "a[*]", "a[*].b[*]", "a[x]", "a[9]", "*", "a.*", "*.b", "{a,b}",
    "{a, b.c}", "a.{b,c}", "a[0", "{a", "a{b}", "..a", "[0]", "a[b[0]]", "{a.{b},c}",
]  # fmt: skip
names = st.sampled_from("abc")
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab\xe9", max_size=3)
trees = st.recursive(plain, lambda some: st.lists(some, max_size=3) | st.dictionaries(names, some, max_size=3))


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_read_as_langgraph_reads_them(path: str) -> None:
    assert tokenize_path(path) == theirs.tokenize_path(path)


@given(st.dictionaries(names, trees, max_size=3), st.sampled_from(PATHS))
def test_paths_lead_to_the_same_texts(value: dict[str, Any], path: str) -> None:
    assert get_text_at_path(value, path) == theirs.get_text_at_path(value, path)
    steps = tokenize_path(path)
    assert get_text_at_path(value, steps) == theirs.get_text_at_path(value, steps)
