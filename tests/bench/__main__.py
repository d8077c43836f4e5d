"""``./dev bench [NAME]``: run one benchmark, or all of them."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.ending import end_in_order

NAMES = ("reaction", "rollout", "rollback", "footprint", "scale", "receiver", "build")


def main(names: list[str]) -> int:
    unknown = [n for n in names if n not in NAMES]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    codes = []
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        codes.append(import_module(f"tests.bench.{name}").main())
    return max(codes)


if __name__ == "__main__":
    end_in_order()
    sys.exit(main(sys.argv[1:]))
