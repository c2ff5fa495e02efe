"""Read a uv.lock on standard input; write it without index addresses on standard output.

A neutral lock names versions and hashes only, so one lock serves a public index, a mirror and a
folder of wheels. Three changes: registries become "index", file addresses become file names, and
the workspace members' own metadata blocks go (uv then resolves with the locked versions as its
preference instead of looking for the files in a folder). It is git's `neutral-lock` clean filter:

    git config filter.neutral-lock.clean "python3 .ci/neutral_lock.py"
    git config filter.neutral-lock.smudge cat
"""

from __future__ import annotations

import re
import sys


def neutral(lock: str) -> str:
    """Return `lock` with every address replaced and the members' metadata dropped."""
    lock = re.sub(r'registry = "[^"]*"', 'registry = "index"', lock)
    lock = re.sub(r'url = "(?:[^"]*/)?([^"/]+)"', r'path = "\1"', lock)
    lock = re.sub(r'path = "[^"]*://(?:[^"]*/)?([^"/]+)"', r'path = "\1"', lock)
    kept: list[str] = []
    dropping = False
    for line in lock.splitlines():
        if line.startswith("["):
            dropping = line.startswith("[package.metadata")
        if not dropping:
            kept.append(line)
    text = "\n".join(kept)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(neutral(sys.stdin.read()))
