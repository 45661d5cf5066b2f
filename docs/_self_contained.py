"""Checks that pages load nothing from elsewhere: `python docs/_self_contained.py build/site`."""

import re
import sys
from pathlib import Path

LOADS = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href|srcset)=\W?(?:https?:)?//"
    r"|url\(\W?(?:https?:)?//|@import\s+\W?(?:https?:)?//",
)


def main(site: Path) -> None:
    """Look at every page and style sheet; end with the list of what is loaded from elsewhere."""
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    if not any(file.name == "index.html" for file in files):
        sys.exit(f"{site} holds no site")
    found = [
        f"{file.relative_to(site)}: {match[0]}"
        for file in files
        for match in LOADS.finditer(file.read_text(encoding="utf-8"))
    ]
    if found:
        sys.exit("\n".join(["loaded from elsewhere:", *found]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
