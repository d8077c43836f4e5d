"""nodewise builds, as typed: the list, one build, its log, and following one to its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nodewise.domain.build import BuildState
from tests.integration.web_parts import Api, Run, add_build, end_build

BOTH = pytest.mark.parametrize("before", [(), ("--local",)], ids=["api", "local"])
# An interrupt counts, also where the suite itself runs in the background.
MAIN = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from nodewise.cli import main
main()"""


@contextmanager
def typed(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own: what it prints can be read while it runs."""
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def log(api: Api, text: str) -> None:
    api.deps.store.append_build_log("b-1", text)


@BOTH
def test_a_build_that_is_pushed_ends_with_zero_and_its_log_alone_is_on_stdout(api: Api, run: Run, before) -> None:
    add_build(api.deps)
    log(api, "step 1\n")
    log(api, "\x1b[2Jdone")
    end_build(api.deps)
    done = run(*before, "builds", "b-1", "--follow")
    assert (done.exit_code, done.stdout) == (0, "step 1\ndone")
    assert "build b-1 of web pushed: reg:5000/web:2 (bbbbbbbbbbbb) in 12 s" in done.stderr


@BOTH
def test_a_build_that_fails_ends_with_one_and_the_error(api: Api, run: Run, before) -> None:
    add_build(api.deps)
    end_build(api.deps, state=BuildState.FAILED, error="step 2: exit code 1\nno rule")
    done = run(*before, "builds", "b-1", "--follow")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "build b-1 of web failed: step 2: exit code 1\nno rule" in done.stderr


def test_what_is_followed_is_one_json_object_a_line_for_scripts(api: Api, run: Run) -> None:
    add_build(api.deps)
    log(api, "step 1\n")
    end_build(api.deps)
    first, last = map(json.loads, run("builds", "b-1", "--follow", "--json").stdout.splitlines())
    assert (first["event"], first["text"]) == ("log", "step 1\n")
    assert (last["event"], last["build"]["state"]) == ("build", "pushed")


@BOTH
def test_without_a_build_the_next_one_to_begin_is_waited_for_and_followed(api: Api, run: Run, before) -> None:
    add_build(api.deps, "b-0")
    end_build(api.deps, "b-0")
    with typed(*before, "builds", "--follow") as process:
        assert said(process) == "no build is on its way; waiting for the next one (Ctrl-C ends)\n"
        add_build(api.deps, "b-1")
        assert said(process) == "build b-1 of web building\n"
        log(api, "step 1\n")
        assert process.stdout is not None
        assert process.stdout.readline() == "step 1\n"
        end_build(api.deps)
        assert process.wait(60) == 0


def test_without_a_build_the_newest_that_is_on_its_way_is_followed(api: Api, run: Run) -> None:
    add_build(api.deps, "b-2")
    end_build(api.deps, "b-2")
    add_build(api.deps, "b-1")
    with typed("builds", "--follow") as process:
        assert said(process) == "build b-1 of web building\n"
        end_build(api.deps, "b-1")
        assert process.wait(60) == 0


def test_an_interrupt_leaves_the_build_alone_and_says_how_to_look_again(api: Api, run: Run) -> None:
    add_build(api.deps)
    with typed("builds", "--follow", "b-1") as process:
        assert said(process) == "build b-1 of web building\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "the build goes on; nodewise builds b-1 --follow" in process.stderr.read()
    stored = api.deps.store.build("b-1")
    assert stored is not None
    assert not stored.state.terminal


def test_the_log_is_what_was_printed_so_far_and_does_not_wait_for_the_end(api: Api, run: Run) -> None:
    add_build(api.deps)
    log(api, "step 1\n")
    assert run("builds", "b-1", "--log").stdout == "step 1\n"
    assert run("builds", "--log").exit_code == 2


def test_one_build_is_shown_in_full(api: Api, run: Run) -> None:
    add_build(api.deps)
    end_build(api.deps, state=BuildState.FAILED, error="step 2: exit code 1\nno rule")
    shown = [" ".join(line.split()) for line in run("builds", "b-1").stdout.splitlines()]
    assert {"image reg:5000/web:2", f"commit {'c' * 40} of main", "error step 2: exit code 1", "no rule"} <= set(shown)
    assert json.loads(run("builds", "b-1", "--json").stdout)["id"] == "b-1"
