"""The file: who may read it, and which files and places are refused."""

import os
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from sendx_async import ConfigurationError, OutboxError
from sendx_async.outbox import Outbox, _schema
from sendx_async.outbox._schema import network_file_system

JANE = {"email": "jane@example.com"}
MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /dev/shm tmpfs rw 0 0
server:/export /mnt/my\\040share nfs4 rw 0 0
//server/x /mnt/windows cifs rw 0 0
/dev/vdb /mnt/windows/local xfs rw 0 0
host:/home /home/remote fuse.sshfs rw 0 0
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_its_owner_may_read_an_outbox(path: Path) -> None:
    before = os.umask(0)
    try:
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["outbox.db", "outbox.db-wal", "outbox.db-shm"], 0o600)


class TestPlaces:
    @pytest.mark.parametrize(
        "place,kind",
        [
            ("/srv/outbox.db", None),
            ("/dev/shm/outbox.db", None),
            ("/mnt/my share/outbox.db", "nfs4"),
            ("/mnt/my shared/outbox.db", None),
            ("/mnt/windows/a/b/outbox.db", "cifs"),
            ("/mnt/windows/local/outbox.db", None),
            ("/home/remote/outbox.db", "fuse.sshfs"),
        ],
    )
    def test_network_file_systems_are_told_from_local_ones(
        self, place: str, kind: str | None
    ) -> None:
        assert network_file_system(place, MOUNTS) == kind

    def test_a_network_file_system_is_refused(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mounts = tmp_path / "mounts"
        mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {os.path.realpath(tmp_path)} nfs rw")
        monkeypatch.setattr(_schema, "_MOUNTS", mounts)
        with pytest.raises(OutboxError, match=r"network file system \(nfs\).*procrastinate"):
            Outbox(path).put_sync(JANE)
        assert not path.exists()

    def test_a_file_is_opened_where_the_system_shows_no_mounts(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_schema, "_MOUNTS", tmp_path / "none")
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)

    def test_a_file_in_a_missing_directory_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(OutboxError, match="can't be opened: No such file or directory"):
            Outbox(tmp_path / "no" / "outbox.db").open()

    def test_a_directory_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(OutboxError, match=r"unable to open.*needs to write to the file and"):
            Outbox(tmp_path).open()

    def test_a_file_that_cannot_have_a_log_is_refused(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class WithoutLog(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> Any:
                return super().execute(sql.replace("journal_mode=WAL", "journal_mode"), *arguments)

        connect = sqlite3.connect
        monkeypatch.setattr(
            sqlite3, "connect", lambda *args, **more: connect(*args, factory=WithoutLog, **more)
        )
        with pytest.raises(OutboxError, match=r"can't have a write-ahead log \(SQLite offers 'del"):
            Outbox(path).open()


class TestOtherFiles:
    def test_another_database_is_left_alone(self, path: Path) -> None:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine(x)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(OutboxError, match="is an SQLite database, but no outbox"):
            Outbox(path).open()
        assert path.read_bytes() == before

    @pytest.mark.parametrize("pragma", ["user_version=1", "application_id=7"])
    def test_another_database_without_tables_is_refused(self, path: Path, pragma: str) -> None:
        other = sqlite3.connect(path)
        other.execute(f"PRAGMA {pragma}")
        other.close()
        with pytest.raises(OutboxError, match="but no outbox"):
            Outbox(path).open()

    def test_a_file_that_is_no_database_is_left_alone(self, path: Path) -> None:
        path.write_text("Dear diary, " * 1000)
        with pytest.raises(OutboxError, match="file is not a database"):
            Outbox(path).open()
        assert path.read_text() == "Dear diary, " * 1000

    def test_an_outbox_of_a_later_version_is_refused(self, path: Path) -> None:
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
        later = sqlite3.connect(path)
        later.execute("PRAGMA user_version=3")
        later.close()
        with pytest.raises(OutboxError, match="made by a later version of sendx-async: upgrade"):
            Outbox(path).open()

    def test_an_empty_file_becomes_an_outbox(self, path: Path) -> None:
        path.touch()
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)

    def test_a_damaged_outbox_is_told(self, path: Path) -> None:
        with Outbox(path) as outbox:
            for _ in range(200):
                outbox.put_sync(JANE)
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
        with Outbox(path) as outbox, pytest.raises(OutboxError, match="malformed"):
            outbox.stats()

    def test_an_outbox_that_vanishes_while_in_use_is_told(self, path: Path) -> None:
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
            path.unlink()
            for _ in range(2):
                with pytest.raises(OutboxError, match="removed or replaced while it was in use"):
                    outbox.put_sync(JANE)
            path.touch()
            with pytest.raises(OutboxError, match="removed or replaced"):
                outbox.stats()  # which had no connection yet

    def test_a_link_leads_to_the_same_lock(self, path: Path) -> None:
        link = path.with_name("link.db")
        link.symlink_to(path)
        with Outbox(link) as outbox:
            outbox.put_sync(JANE)
            assert repr(outbox) == repr(Outbox(path))

    def test_an_outbox_whose_log_was_turned_off_has_one_again(self, path: Path) -> None:
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
        other = sqlite3.connect(path)
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        other.close()
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
        other = sqlite3.connect(path)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()

    def test_a_failed_creation_leaves_no_half_made_outbox(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(_schema, "_SCHEMA", f"{_schema._SCHEMA}\nCREATE NONSENSE;\n")
            with pytest.raises(OutboxError, match="syntax error"):
                Outbox(path).open()
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)

    @pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
    def test_opening_gives_up_when_the_file_stays_locked(self, path: Path, kind: str) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute(f"BEGIN {kind}")
        with pytest.raises(OutboxError, match="locked"):
            Outbox(path, timeout=0.02).open()
        other.execute("ROLLBACK")
        other.close()

    @pytest.mark.parametrize("moment", ["sqlite_master", "user_version", "application_id"])
    def test_an_outbox_that_another_makes_while_this_looks_is_used(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        class Interrupted(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> Any:
                if moment in sql and sqlite3.connect is not connect:
                    monkeypatch.setattr(sqlite3, "connect", connect)
                    with Outbox(path) as other:
                        other.put_sync(JANE)
                return super().execute(sql, *arguments)

        connect = sqlite3.connect
        monkeypatch.setattr(
            sqlite3, "connect", lambda *args, **more: connect(*args, factory=Interrupted, **more)
        )
        with Outbox(path) as outbox:
            assert outbox.stats().pending == 1

    def test_an_outbox_that_another_makes_at_the_same_time_is_used(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_a_log = _schema._use_a_log

        def let_another_be_first(*arguments: Any) -> None:
            monkeypatch.setattr(_schema, "_use_a_log", use_a_log)
            with Outbox(path) as other:
                other.put_sync(JANE)
            use_a_log(*arguments)

        monkeypatch.setattr(_schema, "_use_a_log", let_another_be_first)
        with Outbox(path) as outbox:
            assert outbox.stats().pending == 1


class TestOptions:
    @pytest.mark.parametrize("path", [None, "", ":memory:", 3, b"x", "a\0b"])
    def test_a_bad_path_is_refused(self, path: Any) -> None:
        with pytest.raises(ConfigurationError, match="path must be that of a file, as a str or a"):
            Outbox(path)

    @pytest.mark.parametrize(
        "options,problem",
        [
            ({"synchronous": "OFF"}, "synchronous must be 'FULL' or 'NORMAL', got 'OFF'"),
            ({"max_pending": 0}, "max_pending must be an int of at least 1"),
            ({"timeout": 0}, "timeout must be a number of seconds above 0"),
            ({"remember": "week"}, "remember must be a number of seconds"),
            ({"on_event": 1}, "on_event must be a plain function"),
        ],
    )
    def test_a_bad_option_is_refused(self, path: Path, options: Any, problem: str) -> None:
        with pytest.raises(ConfigurationError, match=problem):
            Outbox(path, **options)

    def test_a_relative_path_stays_where_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with Outbox("outbox.db") as outbox:
            (tmp_path / "elsewhere").mkdir()
            monkeypatch.chdir(tmp_path / "elsewhere")
            outbox.put_sync(JANE)
        assert (tmp_path / "outbox.db").exists()
