"""What engines and clients print, made into lines, errors and results; and what must not be shown."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from nodewise.adapters.builds.buildkit_log import BuildKitLog
from nodewise.adapters.builds.frames import Frames
from nodewise.adapters.builds.lines import LONGEST, Lines
from nodewise.adapters.builds.log import BuildLog
from nodewise.adapters.builds.masking import Mask, read_secrets
from nodewise.domain.errors import GiveUp

FAILED = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:066b6e61a6f4a7e5fc2ff83ae77ec0a5e0a5f2a8ad9bd2b3bd5b4dd7c8d7e2af
#1 transferring dockerfile: 141B done
#1 DONE 0.0s

#2 importing cache manifest from registry:5000/cache
#2 ERROR: registry:5000/cache: not found

#3 [2/3] RUN make
#3 sha256:966e2b9842a2c8141085db78b7b2593d5a8515040a8acdbcc8d30ba02fcccafc
#3 0.146 cc -c a.c

#4 [internal] load build context
#4 transferring context: 1.98MB 0.2s
#4 transferring context: 7.98MB 0.4s done

#3 [2/3] RUN make
#3 0.309 a.c:1: it broke: token-1
#3 ERROR: executor failed running [/bin/sh -c make]: exit code: 2
------
 > importing cache manifest from registry:5000/cache:
------
------
 > [2/3] RUN make:
------
"""
OLD = FAILED + "executor failed running [/bin/sh -c make]: exit code: 2"
NEW = (
    FAILED
    + """\
Dockerfile:2
--------------------
   1 |     FROM scratch
   2 | >>> RUN make
--------------------
ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2
View build details: docker-desktop://dashboard/build/default/default/x
"""
)


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        (OLD, "executor failed running [/bin/sh -c make]: exit code: 2"),
        (NEW, 'process "/bin/sh -c make" did not complete successfully: exit code: 2'),
    ],
    ids=["a client of 20.10", "a client with buildx"],
)
def test_a_failure_of_buildkit_is_its_step_its_words_and_what_the_step_printed(printed: str, error: str) -> None:
    log = BuildKitLog(Mask(["token-1"]))
    kept = [shown for line in printed.splitlines() if line and (shown := log.kept(line))]
    assert log.failure("the build") == (f"the build failed at [2/3] RUN make: {error}\ncc -c a.c\na.c:1: it broke: ***")
    assert [line for line in kept if "sha256" in line or "transferring context" in line] == [
        "#4 transferring context: 7.98MB 0.4s done"
    ]
    assert "token-1" not in "\n".join(kept)


def test_progress_is_collapsed_and_lines_are_whole() -> None:
    reader = BuildLog()
    records = [
        {"stream": "Step 1/2 : RUN x\n"},
        {"stream": "half"},
        {"stream": " and half\n10%\r50%\rdone\n\x1b[32mgreen\x1b[0m\n"},
        *({"status": "Downloading", "id": "aa", "progress": f"[{n}]", "progressDetail": {}} for n in range(50)),
        {"status": "Pull complete", "id": "aa"},
        {"status": "Pull complete", "id": "aa"},
        {"stream": "no end"},
    ]
    lines = [line for record in records for line in reader.lines_of(record)] + reader.rest()
    assert lines == ["Step 1/2 : RUN x", "half and half", "done", "green", "aa: Pull complete", "no end"]


def test_an_error_in_the_stream_is_seen() -> None:
    reader = BuildLog(Mask(["abcd", ""]))
    assert reader.lines_of({"stream": "Step 2/2 : RUN y abcd\n"}) == ["Step 2/2 : RUN y ***"]
    reader.lines_of({"errorDetail": {"message": "it broke abcd"}, "error": "it broke abcd"})
    assert reader.failure("the build") == "the build failed at Step 2/2 : RUN y ***: it broke ***\nStep 2/2 : RUN y ***"


def test_lines_are_put_together_again_wherever_they_were_cut() -> None:
    lines = Lines()
    text = "grün\r\n\n\x1b[1;31mred\x1b[0m \x1b]0;title\x07end\nrest\x00".encode()
    assert [line for byte in text for line in lines.feed(bytes([byte]))] == ["grün", "red end"]
    assert lines.rest() == ["rest"]
    assert lines.rest() == []


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    assert [len(line) for line in Lines().feed("x" * (2 * LONGEST + 1))] == [LONGEST, LONGEST]


def test_frames_are_put_together_again_wherever_they_were_cut() -> None:
    stream = b"".join(struct.pack(">BxxxL", n, len(text)) + text for n, text in ((1, b"out"), (2, b""), (2, b"err")))
    frames = Frames()
    assert [f for byte in stream for f in frames.feed(bytes([byte]))] == [(1, b"out"), (2, b""), (2, b"err")]


def test_secrets_are_hidden_whole_line_by_line_and_quoted_but_short_words_are_not() -> None:
    mask = Mask(['first "line"\nsecond\nyes\n', "second to none", "1.2"])
    assert mask('first "line"\nsecond\nyes') == "***"
    assert mask('second, yes, 1.2, first "line"') == "***, yes, 1.2, ***"
    assert mask('said "first \\"line\\""') == 'said "***"'
    assert mask("second to none") == "***"


def test_a_secret_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 600_000)
    with pytest.raises(GiveUp, match=r"secret TOKEN in .*large has 600000 bytes"):
        read_secrets({"TOKEN": tmp_path / "large"})
