"""Tools that not every machine has: their lack skips a test, or fails it where the tool is needed."""

import shutil
import sys
from pathlib import Path

import pytest
from helpers import needs


def test_a_missing_tool_skips_or_fails(monkeypatch):
    monkeypatch.delenv("INTERACT_NEED", raising=False)
    with pytest.raises(pytest.skip.Exception, match="usd is missing: pip"):
        needs.missing("usd", "pip")
    monkeypatch.setenv("INTERACT_NEED", "browser, usd")
    with pytest.raises(pytest.fail.Exception, match="names usd, and it is missing: pip"):
        needs.missing("usd", "pip")
    with pytest.raises(pytest.skip.Exception):
        needs.missing("films", "pip")
    monkeypatch.setenv("INTERACT_NEED", "browsers")
    with pytest.raises(AssertionError, match="got browsers"):
        needs.missing("films", "pip")


@pytest.mark.parametrize("tool", needs.TOOLS)
def test_each_tool_says_how_to_get_it(monkeypatch, tool):
    monkeypatch.setenv("INTERACT_NEED", tool)
    for module in ("pxr.Usd", "av", "playwright.sync_api"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    arguments = [Path("cluster")] if tool == "slurm" else []
    with pytest.raises(pytest.fail.Exception, match="pip install|apt-get install|npm ci|helpers/slurm/check"):
        getattr(needs, tool)(*arguments)
