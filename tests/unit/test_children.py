"""What the supervisor of ``up`` leaves behind for others to read."""

from __future__ import annotations

from pathlib import Path

from workers.children import write_pid


def test_a_pid_file_is_replaced_and_never_half_written(tmp_path: Path):
    file = tmp_path / "up.pid"
    write_pid(file, 11)
    with file.open() as reading:
        write_pid(file, 222)
        assert reading.read() == "11\n", "who had begun to read finds the old number, whole"
    assert file.read_text() == "222\n"
    assert list(tmp_path.iterdir()) == [file]
