"""What is checked, and how; ``nox --list`` shows it. The versions come from pyproject.toml."""

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]

CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"
nox.options.sessions = [
    "lint",
    "mypy",
    "pyright",
    f"tests-{CURRENT if CURRENT in PYTHONS else NEWEST}",
]
nox.options.reuse_existing_virtualenvs = True

# What is tested is the wheel that users would get, except in `quick`. Children of a test run in
# this directory, where they would import the checkout beside them without PYTHONSAFEPATH.
WHEEL = ".[all]"
ENVIRONMENT = {"PYTHONSAFEPATH": "1"}
COVERAGE = ("--cov", "--cov-report=term-missing:skip-covered")
# What needs a database is skipped where none can be installed, so some branches aren't taken.
WITHOUT_POSTGRESQL = {"3.15"}


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and imports."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")  # it reads the sources beside it, and imports none


@nox.session
def mypy(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install(WHEEL, *group("mypy"), *group("dev"), *group("benchmark"))
    session.run("mypy")


@nox.session
def pyright(session: nox.Session) -> None:
    """Check types once more, by other rules; it fetches itself from the npm registry."""
    session.install(WHEEL, *group("types"), *group("dev"), *group("benchmark"))
    session.run("pyright")
    session.run("pyright", "tests/typing")
    # What users see of the installed package.
    session.run("pyright", "--verifytypes", "sendx_async", "--ignoreexternal", env=ENVIRONMENT)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests; where a database can be installed, see that they take every branch."""
    session.install(WHEEL, *group("test"))
    coverage = () if session.python in WITHOUT_POSTGRESQL else COVERAGE
    session.run("pytest", *coverage, *session.posargs, env=ENVIRONMENT)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill processes and fail requests for a long time; what fails says how to repeat it."""
    session.install(WHEEL, *group("test"))
    session.run("pytest", "-m", "chaos", *session.posargs, env=ENVIRONMENT)


@nox.session
def quick(session: nox.Session) -> None:
    """Run the tests that start no process and no database and don't take long, on the checkout."""
    session.install("--editable", WHEEL, *group("test"))
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session(python=OLDEST)
def tests_lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    resolve(session, "--resolution=lowest-direct")


@nox.session(python=NEWEST)
def tests_highest(session: nox.Session) -> None:
    """Run the tests with the newest versions there are, prereleases included."""
    resolve(session, "--resolution=highest", "--prerelease=allow")


def resolve(session: nox.Session, *options: str) -> None:
    session.install("uv>=0.6")  # pip knows no lowest versions
    python = f"--python={session.virtualenv.location}"
    session.run("uv", "pip", "install", python, *options, WHEEL, *group("test"))
    session.run("pytest", *session.posargs, env=ENVIRONMENT)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into build/site; what is broken, missing or loaded from elsewhere fails."""
    session.install(WHEEL, *group("docs"))
    # From nothing: what is remembered of the last build isn't checked again.
    build = ("zensical", "build", "--clean", "--strict")
    output = session.run(*build, silent=True, env={"NO_COLOR": "1"})
    if "griffe:" in str(output):  # docstrings that don't fit their functions; not strict's business
        session.error(str(output))
    session.run("python", "docs/_self_contained.py", "build/site")


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example; each brings its own sandbox."""
    session.install(WHEEL, *group("examples"))
    for script in sorted(Path("examples").glob("[!t]*.py")):  # the test has its own runner
        session.run("python", "-W", "error", str(script), env=ENVIRONMENT)
    session.run("jupyter", "execute", "examples/notebook.ipynb", env=ENVIRONMENT)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure everything that the README promises: some minutes on a quiet machine."""
    session.install(WHEEL, *group("benchmark"), *group("examples"))
    session.run("python", "benchmarks/run_all.py", *session.posargs)
