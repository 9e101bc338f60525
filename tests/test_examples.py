"""Every example runs, and prints the same in its own process, on a fleet, and (where it can) on LangGraph."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = sorted(path for path in (REPOSITORY / "examples").glob("*.py") if not path.name.startswith("_"))
ROOTS = [REPOSITORY / name for name in ("coordinator", "worker", "shared")]

SAID = {
    "agent": "model: It rains in Bergen. The sun shines in Oslo. Go to Oslo.",
    "any_llm": "call_model ['cat']: 'meow. '\nthe same id: True",
    "async_nodes": "custom   got an answer",
    "custom_data": "{'progress': '4/4'}",
    "debug": "step 1  task_result  double   {'number': 40}",
    "fan_out": "total: 210",
    "filter_by_node": "Soft| |paws| |at| |dawn,| |the| |curtain| |torn.|",
    "filter_by_tags": "A| |cat| |walks| |into",
    "human_approval": "on Friday\n['Alice, on Friday', 'Bob, on Friday']",
    "llm_tokens": "write_joke: 'rocky'",
    "long_term_memory": "u1 friday: You said 'Who am I?'. What I know of you: the name is Ada.\n",
    "map_reduce": "The best: Two penguins walk into a bar.",
    "plan_and_execute": "plan     {'plan': [], 'answer': 'The omelette can be made.'}",
    "several_modes": "updates  {'answer': {'answer': 'According to encyclopedia and newspaper: yes.'}}",
    "supervisor": "writer     write      Did you know? Otters hold hands while they sleep.",
    "time_travel": "update  next: write_joke    {'topic': 'chickens'}",
    "updates_and_values": "{'topic': 'dogs and cats', 'joke': 'Two dogs and cats walk into a bar.'}",
    "workflow": "2 facts, 10 words\n3 facts, 14 words\n- Otters hold hands.",
}
"""A line or so of what each example prints."""

OURS = {"any_llm"}
"""What shows something that LangGraph has not."""


SECONDS = 150
"""That one run may take. On a fleet it starts a Redis and two workers, each of which imports LangChain: seconds of
computing, which a busy machine turns into a minute."""

pytestmark = pytest.mark.timeout(2 * SECONDS)

LANGGRAPH_FLEET = """
import contextlib

@contextlib.contextmanager
def placed(graph):
    yield graph
"""
"""What stands in for examples/_fleet.py where an example runs on LangGraph."""


def run(example: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, ROOTS))
    answer = subprocess.run(
        [sys.executable, "-W", "error", str(example), *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_every_example_is_known_here() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(SAID)


def printed_on_langgraph(
    example: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What the example prints with LangGraph's name in its imports. It runs in this process, which has LangGraph."""
    (place / "_fleet.py").write_text(LANGGRAPH_FLEET)
    shutil.copy(example.with_name("_model.py"), place)
    copy = place / example.name
    copy.write_text(example.read_text().replace("from fleetgraph.", "from langgraph."))
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", [str(copy)])
    monkeypatch.syspath_prepend(place)
    capsys.readouterr()
    try:
        runpy.run_path(str(copy), run_name="__main__")
    finally:
        for name in ("_fleet", "_model"):
            sys.modules.pop(name, None)
    return capsys.readouterr().out


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_prints_the_same_here_on_a_fleet_and_on_langgraph(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scripts are LangGraph's language: with its name in their imports they are its scripts."""
    printed = run(example)
    assert SAID[example.stem] in printed
    assert run(example, "--fleet") == printed
    if example.stem not in OURS:
        assert printed_on_langgraph(example, tmp_path, monkeypatch, capsys) == printed
