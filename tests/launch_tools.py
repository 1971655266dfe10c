"""A tiny stage that speaks the protocol of stages, and folders for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

__all__ = ["never", "notes", "request", "stage_command"]

PROGRAM = Path(__file__).parent / "launch_stage.py"


def request(folder: Path, **content: object) -> Path:
    """A folder with a request; ``content`` tells the tiny stage what to do."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stage.json").write_text(json.dumps({"stage": "tiny", **content}))
    return folder


def stage_command(folder: Path) -> list[str]:
    return [sys.executable, str(PROGRAM), str(folder)]


def never() -> str | None:
    """Nobody asks to stop."""
    return None


def notes(folder: Path) -> list[str]:
    """What the tiny stages of a folder did, one line each."""
    path = folder / "notes"
    return path.read_text().splitlines() if path.exists() else []
