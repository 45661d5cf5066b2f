"""The file that remembers how far an import came, whenever its process ends."""

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any, cast

from sendx_async._core.errors import ConfigurationError

_APPLICATION = 0x53584950  # "SXIP": tells these files from other databases
_FORMAT = 2


class Checkpoint:
    """One document in a file, replaced as a whole; no two processes have it open at once.

    A database of one row rather than a text, since each replacement must come to the disk whole or
    not at all, and the lock must end with its process.

    Args:
        path: Where.

    Attributes:
        document: What an earlier import has left, or None.

    Raises:
        ConfigurationError: It can't be used, is something else, or another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = Path(f"{path}-wal")
        self._has_log = self._log.exists() and self._log.stat().st_size > 0  # SQLite will make one
        try:
            self._connection = sqlite3.connect(path.absolute(), timeout=0.0, isolation_level=None)
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        try:
            self.document: dict[str, Any] | None = self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> dict[str, Any] | None:
        run = self._connection.execute
        try:
            run("PRAGMA locking_mode = EXCLUSIVE")
            run("PRAGMA synchronous = NORMAL")
            run("BEGIN EXCLUSIVE")
            (application,) = run("PRAGMA application_id").fetchone()
            (count,) = run("SELECT count(*) FROM sqlite_schema").fetchone()
            if application != _APPLICATION and count:
                raise self._something_else()
            if not count:
                run(f"PRAGMA application_id = {_APPLICATION}")
                run("CREATE TABLE progress (format INTEGER, document TEXT)")
            found = run("SELECT format, document FROM progress").fetchone()
            (is_half,) = run("PRAGMA user_version").fetchone()
            run("COMMIT")
            if is_half and not self._has_log:
                raise ConfigurationError(
                    f"{self.path} is not whole: what was noted last stood in {self._log.name} "
                    "beside it. Put that back; if it is lost, look into SendX before you begin anew"
                )
            # Not before it is certain that the file is one of these.
            run("PRAGMA journal_mode = WAL")
            if found is None:
                run("INSERT INTO progress VALUES (?, NULL)", [_FORMAT])
            # From here on the file says that there is more beside it, and there is: on the disk.
            run("PRAGMA synchronous = FULL")
            run("PRAGMA user_version = 1")
            run("PRAGMA wal_checkpoint(FULL)")
            run("PRAGMA synchronous = NORMAL")
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from None
        except sqlite3.DatabaseError:
            raise self._something_else() from None
        if found is None:
            return None
        if found[0] != _FORMAT:
            raise ConfigurationError(
                f"{self.path} was written by another version of this command: go on with that one, "
                "or delete the file to begin anew"
            )
        return cast("dict[str, Any] | None", json.loads(found[1] or "null"))

    def replace(self, document: dict[str, Any]) -> None:
        """Keep this document in the place of the last one.

        Raises:
            ConfigurationError: It can't be written.
        """
        text = json.dumps(document, separators=(",", ":"))
        try:
            self._connection.execute("UPDATE progress SET document = ?", [text])
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it if nobody needs it any more."""
        steps = [self._connection.close]
        with contextlib.suppress(sqlite3.Error):
            # All that was noted is copied into the file itself, and there is nothing beside it.
            self._connection.execute("PRAGMA user_version = 0")
            self._connection.execute("PRAGMA journal_mode = DELETE")
        if remove:
            # While it is locked, so that nobody can have begun anew with it; Windows can't do that.
            steps.insert(1 if os.name == "nt" else 0, self._unlink)
        for step in steps:
            step()

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):  # what the import came to matters more
            self.path.unlink()

    def _unusable(self, error: sqlite3.Error) -> ConfigurationError:
        if "locked" in str(error):
            return ConfigurationError(
                f"another process is importing with {self.path}: wait until it has ended"
            )
        return ConfigurationError(
            f"{self.path} can't keep track of the import: {error}; give a file that can be written "
            "with --progress-file"
        )

    def _something_else(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} is no file in which an import keeps track of its rows: give another one "
            "with --progress-file"
        )
