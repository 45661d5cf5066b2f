"""SendX in a FastAPI application: one client for the application, a dependency, error answers.

The application opens the client when it starts, and a handler asks for it by its type::

    from fastapi import FastAPI
    from sendx_async.fastapi import SendX, add_sendx_error_handlers, sendx_lifespan

    app = FastAPI(lifespan=sendx_lifespan())  # the key from SENDX_API_KEY
    add_sendx_error_handlers(app)

    @app.post("/signup")
    async def signup(email: str, sendx: SendX) -> None:
        await sendx.identify_contact({"email": email}, deadline=2)

Needs FastAPI, which the extra ``fastapi`` installs.
"""

try:
    from sendx_async.fastapi._answers import add_sendx_error_handlers
    from sendx_async.fastapi._dependencies import SendX, SendXOutbox, get_sendx, get_sendx_outbox
    from sendx_async.fastapi._lifespan import SendXState, sendx_lifespan
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"fastapi", "starlette"}:
        raise
    raise ModuleNotFoundError(
        "sendx_async.fastapi needs FastAPI: pip install 'sendx-async[fastapi]'"
    ) from error

__all__ = [
    "SendX",
    "SendXOutbox",
    "SendXState",
    "add_sendx_error_handlers",
    "get_sendx",
    "get_sendx_outbox",
    "sendx_lifespan",
]
