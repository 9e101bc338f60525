"""Pictures and terminal drawings: what the `draw` extra draws."""

from __future__ import annotations

import importlib.util
import socket
import struct
import zlib
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fleetgraph.constants import END, START
from fleetgraph.drawing import DrawableGraph, DrawnEdge, DrawnNode, NodeStyles

pytestmark = pytest.mark.timeout(180)  # see "pictures" below


def drawing(*edges: DrawnEdge) -> DrawableGraph:
    names = dict.fromkeys(name for edge in edges for name in edge[:2])
    return DrawableGraph({name: DrawnNode(name, name.rpartition(":")[2]) for name in names}, list(edges))


SMALL = drawing(DrawnEdge(START, "a"), DrawnEdge("a", END))

HOSTILE = 'say "hi" | (x) [y] {z} <b> & `q` #35; -.-> %% ; end'
"""What would break mermaid's syntax, or vanish as markup, if it were written as it is."""


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def first_pixel(png: bytes) -> bytes:
    """Red, green, blue, alpha of the corner, where every filter of PNG leaves the bytes as they are."""
    data, place = b"", 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += length + 12
    return zlib.decompress(data)[1:5]


# --- pictures ----------------------------------------------------------------------------------------------------
# Mermaid takes a second or two of computing for each, so they are few.


@pytest.fixture(scope="module")
def small_picture() -> bytes:
    return SMALL.draw_mermaid_png(scale=1)


def test_a_picture_is_a_png_with_a_white_background(small_picture: bytes) -> None:
    width, height = size(small_picture)

    assert width > 50
    assert height > 2 * width, "three nodes in a column"
    assert first_pixel(small_picture) == b"\xff\xff\xff\xff"


def test_the_same_graph_is_the_same_picture_in_the_file_too(small_picture: bytes, tmp_path: Path) -> None:
    again = SMALL.draw_mermaid_png(scale=1, output_file_path=str(tmp_path / "a.png"))

    assert (tmp_path / "a.png").read_bytes() == again == small_picture


def test_draw_png_is_another_name_for_it(small_picture: bytes, tmp_path: Path) -> None:
    png = SMALL.draw_png(tmp_path / "a.png")

    assert (tmp_path / "a.png").read_bytes() == png
    width, height = size(small_picture)
    assert size(png) == pytest.approx((2 * width, 2 * height), abs=2), "two pixels for each of mermaid's by default"


def test_background_scale_and_padding_can_be_chosen(small_picture: bytes) -> None:
    width, height = size(small_picture)

    coloured = SMALL.draw_mermaid_png(background_color="#336699", scale=0.5)
    transparent = SMALL.draw_mermaid_png(background_color=None, scale=1, padding=30)

    assert first_pixel(coloured) == b"\x33\x66\x99\xff"
    assert first_pixel(transparent)[3] == 0
    assert size(coloured) == pytest.approx((width / 2, height / 2), abs=1)
    assert size(transparent) == pytest.approx((width + 40, height + 40), abs=1)


def test_a_background_that_is_no_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="no such colour"):
        SMALL.draw_mermaid_png(background_color="no such colour", scale=0.5)


def test_labels_and_boxes_take_space(small_picture: bytes) -> None:
    boxed = drawing(DrawnEdge(START, "s:a"), DrawnEdge("s:a", END, "x" * 40, True))
    flat = drawing(DrawnEdge(START, "a"), DrawnEdge("a", END, "x" * 40, True))

    in_box, without = size(boxed.draw_mermaid_png(scale=1)), size(flat.draw_mermaid_png(scale=1))

    assert in_box[1] > without[1] + 30, "the box and its title"
    assert without[0] > size(small_picture)[0] + 100, "the label"


def test_node_colours_may_be_css_or_bare_colours(small_picture: bytes) -> None:
    css = SMALL.draw_mermaid_png(node_colors=NodeStyles(default="fill:#112233"), scale=1)
    bare = SMALL.draw_mermaid_png(node_colors=NodeStyles(default="#112233"), scale=1)

    assert css == bare != small_picture


def test_any_text_can_be_drawn() -> None:
    graph = drawing(DrawnEdge(START, f"{HOSTILE}:a"), DrawnEdge(f"{HOSTILE}:a", HOSTILE, HOSTILE, True))
    graph.nodes["b"] = DrawnNode("b", HOSTILE, None, dict.fromkeys((f"{HOSTILE}{number}" for number in range(9)), 1))

    width, height = size(graph.draw_mermaid_png(scale=1))

    assert width > 400, "two long texts side by side"
    assert height > 400, "nine lines of metadata"


def test_texts_can_be_replaced() -> None:
    labelled = drawing(DrawnEdge(START, END, "short"))

    wide = labelled.draw_png(labels={"nodes": {START: "a b " * 9}, "edges": {"short": "e" * 60}})

    assert size(wide)[0] > 450, "a label of 60 letters"


def test_the_network_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("a drawing needs no network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert SMALL.draw_mermaid_png(draw_method="api", base_url="https://example.org", max_retries=5, scale=0.5)
    assert SMALL.draw_ascii()


def test_a_notebook_shows_the_picture() -> None:
    bundle = SMALL._repr_mimebundle_()

    assert size(bundle["image/png"])
    assert "__start__" in bundle["text/plain"]


# --- terminals ---------------------------------------------------------------------------------------------------


def test_a_terminal_drawing_has_the_nodes_in_order_and_the_labels(capsys: pytest.CaptureFixture[str]) -> None:
    graph = drawing(DrawnEdge(START, "a"), DrawnEdge("a", END, "when done", True), DrawnEdge("a", "a", "again", True))

    text = graph.draw_ascii()
    graph.print_ascii()

    assert capsys.readouterr().out == text + "\n"
    assert text.isascii()
    assert text.index("__start__") < text.index(" a ") < text.index("when done") < text.index("__end__")
    assert "again" in text
    assert ":" in text, "conditional edges are dotted"
    assert not graph.draw_ascii(unicode=True).isascii()


def test_nodes_of_subgraphs_are_named_with_their_path() -> None:
    assert "research:read" in drawing(DrawnEdge(START, "research:read")).draw_ascii()


def test_any_text_can_be_drawn_in_a_terminal() -> None:
    text = drawing(DrawnEdge('"x" | #35; y', "end", '"a" | #1; b')).draw_ascii()

    assert '"x" | #35; y' in text
    assert '"a" | #1; b' in text
    assert "end" in text


# --- without the extra -------------------------------------------------------------------------------------------


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    missing = ("mermaidx", "termaid")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find_spec(name))


@pytest.mark.usefixtures("without_the_extra")
@pytest.mark.parametrize("draw", [DrawableGraph.draw_mermaid_png, DrawableGraph.draw_png, DrawableGraph.draw_ascii])
def test_without_the_extra_the_error_says_what_to_install(draw: Any) -> None:
    with pytest.raises(ImportError, match=r"pip install 'fleetgraph\[draw\]'"):
        draw(SMALL)


@pytest.mark.usefixtures("without_the_extra")
def test_without_the_extra_a_notebook_shows_mermaid() -> None:
    bundle = SMALL._repr_mimebundle_()

    assert bundle["text/markdown"] == f"```mermaid\n{SMALL.draw_mermaid()}```"
    assert "image/png" not in bundle
