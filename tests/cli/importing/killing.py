"""An import that dies at a moment that chance rarely finds: as it is about to note how far it came.

By then rows that were rejected are in their file, and nothing yet says so.
"""

import os
import subprocess
import sys
from pathlib import Path

LIMIT = 120.0
KILLED = 9

_PROGRAM = f"""
import os, sys
from sendx_async._cli import main
from sendx_async._cli.importing.sending.checkpoint import Checkpoint

path, text = sys.argv.pop(1), sys.argv.pop(1)
replace = Checkpoint.replace

def replace_or_die(self, document):
    if os.path.exists(path) and text in open(path).read():
        os._exit({KILLED})  # like SIGKILL: nothing is closed, written or tidied up
    replace(self, document)

Checkpoint.replace = replace_or_die
sys.exit(main())
"""


def import_until(text: str, rejects: Path, *arguments: str, url: str, key: str) -> int:
    """Import with a process that dies before it notes that this is in the file of rejected rows.

    Args:
        text: What is in the file by then.
        rejects: The file.
        *arguments: Those of the command.
        url: Where the server is.
        key: Its key.

    Returns:
        The exit status.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(rejects), text, "import", *arguments],
        env=os.environ | {"SENDX_API_KEY": key, "SENDX_BASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=LIMIT,
    )
    return done.returncode
