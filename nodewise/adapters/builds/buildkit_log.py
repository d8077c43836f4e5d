"""What BuildKit prints with ``--progress plain``, made into log lines and the words of a failure. Pure.

Each line begins with the number of its step: ``#7 [2/3] RUN make`` names it, ``#7 0.41 cc -c a.c`` is printed by it.
Of a failure the client prints, between two lines of dashes, ` > [2/3] RUN make:` with that step's output, and then
the error (tried with Docker 20.10; moby/buildkit, util/progress/progressui: printer.go and display.go).
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from functools import partial

from nodewise.adapters.builds.log import TAIL
from nodewise.adapters.builds.masking import Mask

# How far a transfer is. Only its last line is kept. ``#7 sha256:…`` alone is the step's own digest.
_NOISE = re.compile(r"#\d+ (?:sha256:\S+$|(?:sha256:|transferring |extracting )(?!.*\bdone\b))")
_NAME = re.compile(r"#(\d+) ((?:\[|resolve |importing |exporting ).*)")
_PRINTED = re.compile(r"#(\d+) \d+\.\d+ (.*)")
_FAILED = re.compile(r" > (.+):$")
_PREFIX = re.compile(r"(?:ERROR: )?(?:failed to solve(?: with frontend \S+)?: )?(?:failed to create LLB definition: )?")
_RULE = re.compile(r"-{4,}$")
_ASIDE = ("importing cache", "exporting cache")  # steps that may fail without harm


class BuildKitLog:
    """The reader of one build. ``kept`` every line in turn; ``failure`` once the client has ended with an error."""

    def __init__(self, mask: Mask | None = None) -> None:
        self.error = ""
        self.step = ""
        self._final = False
        self._mask = mask or Mask()
        self._numbers: dict[str, str] = {}  # of steps, by name
        self._printed: defaultdict[str, deque[str]] = defaultdict(partial(deque[str], maxlen=TAIL))  # by number
        self._tail: deque[str] = deque(maxlen=TAIL)

    def kept(self, line: str) -> str:
        """*line* as it goes into the log; empty where it says nothing."""
        if _NOISE.match(line):
            return ""
        line = self._mask(line)
        if named := _NAME.fullmatch(line):
            self._numbers[named[2]] = named[1]
        elif printed := _PRINTED.fullmatch(line):
            self._printed[printed[1]].append(printed[2])
        elif failed := _FAILED.fullmatch(line):
            self.step = self.step if failed[1].startswith(_ASIDE) else failed[1]
        elif line.startswith("ERROR: ") or not (self._final or line.startswith("#") or _RULE.match(line)):
            self._final = line.startswith(
                "ERROR: "
            )  # how clients from 23 on begin it; of older ones it is the last line
            self.error = _PREFIX.sub("", line)
        self._tail.append(line)
        return line

    def failure(self, what: str) -> str:
        """*what* failed: the step, the builder's words, and the last lines that the step printed."""
        step = f" at {self.step}" if self.step else ""
        tail = "\n".join(self._printed[self._numbers.get(self.step, "")] if self.step else self._tail)
        return f"{what} failed{step}: {self.error}" + (f"\n{tail}" if tail else "")
