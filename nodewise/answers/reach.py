"""Whether the web process answers, and each hook at its address: with 401, since what is sent here is not signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

from nodewise.answers.checks import Check
from nodewise.config.hooks import HookConfig, hook_path

TIMEOUT = 3.0  # seconds
ASIDE = 4


def check_web(url: str, hooks: Mapping[str, HookConfig]) -> Iterator[Check]:
    """*url*: where the web process is reached. What cannot be asked because it is away is not asked."""
    try:
        requests.get(f"{url}/healthz", timeout=TIMEOUT).raise_for_status()
    except requests.RequestException:
        yield Check("web", False, f"no Nodewise answers at {url}", "start it with 'nodewise up', or use --local")
        return
    yield Check("web", True, f"answers at {url}")
    with ThreadPoolExecutor(ASIDE, thread_name_prefix="hook") as pool:
        found = list(pool.map(partial(_look, url), hooks, hooks.values()))
    wrong = [check for check in found if not check.ok]
    yield from wrong
    if found and not wrong:
        yield Check("hooks", True, f"{', '.join(hooks)}: answered, and what is not signed is turned away")


def _look(url: str, name: str, hook: HookConfig) -> Check:
    """An empty request is counted by nobody (``webhooks.app``)."""
    path = hook_path(hook.provider, name)
    try:
        answer = requests.post(f"{url}{path}", timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        return Check("hooks", False, f"{name} does not answer at {url}{path}", "look at the web process's log")
    return _meant(name, path, answer.status_code)


def _meant(name: str, path: str, status: int) -> Check:
    if status == requests.codes.unauthorized:
        return Check("hooks", True, name)
    if status == requests.codes.not_found:
        hint = "start it anew: nodewise.yaml is read at the start"
        return Check("hooks", False, f"the running web process knows no {path}", hint)
    if status == requests.codes.service_unavailable:
        hint = "let the user that runs the web process read its secrets_files"
        return Check("hooks", False, f"the web process cannot read the secret of {name}", hint)
    hint = "it should have been 401: see whether something stands between, such as a proxy"
    return Check("hooks", False, f"{name} answers {status} to what is not signed", hint)
