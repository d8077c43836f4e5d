"""A real git repository with the shipped hook in it, and a clone to push from."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HOOK = Path(__file__).parents[1] / "webhooks" / "post-receive"


class Repository:
    """``bare`` is where the hook runs, ``clone`` where commits are made."""

    def __init__(self, bare: Path, clone: Path, url: str, secret: Path) -> None:
        self.bare, self.clone = bare, clone
        clone.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", str(bare))
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(bare))
        self.configure("nodewise.url", url)
        self.configure("nodewise.secretFile", str(secret))
        shutil.copy2(HOOK, bare / "hooks" / "post-receive")

    def configure(self, name: str, value: str) -> None:
        self.git("--git-dir", str(self.bare), "config", name, value)

    def git(self, *arguments: str) -> str:
        """Run git in the clone. Returns what it said on both outputs."""
        names = {
            f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        env = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(["git", *arguments], cwd=self.clone, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() + done.stderr

    def commit(self, message: str) -> str:
        """Commit everything there is, or an empty change. Returns the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")
