"""The examples of docs/simulator.md, as they stand there, on a simulator as it starts without any option."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import Simulator

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"
EXAMPLES = re.findall(r"```(python|bash)\n(.*?)```", PAGE.read_text(), re.S)


@pytest.mark.proves("documentation", "examples of docs/simulator.md")
def test_there_are_examples():
    assert [language for language, _ in EXAMPLES] == ["python", "python", "bash"]


@pytest.mark.proves("documentation", "examples of docs/simulator.md")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number):
    language, code = EXAMPLES[number]
    simulator = Simulator()
    try:
        api_key, secret = simulator.accounts["test"]
        code = code.replace("127.0.0.1:9080", simulator.address).replace("API_KEY", api_key).replace("SECRET", secret)
        program = [sys.executable, "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
        done = subprocess.run([*program, code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.strip()) > 0 and '"code"' not in done.stdout
    finally:
        assert simulator.stop() == 0
