"""Reading, listing, deleting and unsubscribing contacts: what SendX says of one, by its document.

Where the documents are silent, or differ, these answers are guesses:

- A contact is named by its id, or by its address as older documents say; the newest shows ids only.
- An identifier that is neither is a 400, an unknown one a 404.
- Tags and custom fields are told by ids, as SendX does. These ids are made up of the names.
- A name or company that was never sent is left out.
- A deleted contact is gone: to read it, to track it and to delete it again is a 404, an event of it
  a 422. Identified again it is a new contact, with a new id and nothing of what it had.
- An unsubscribed contact is tracked, identified and has events as before, and stays unsubscribed.
- A list has at most 100 contacts, 10 if ``limit`` isn't given; anything else is a 400.
"""

import hashlib
import re
from collections.abc import Mapping

import attrs

from sendx_async.testing._body import RefusedError
from sendx_async.testing._state import Contact, State

_ID = re.compile(r"contact_[A-Za-z0-9]{22}")
_DIGITS_OF_AN_ID = 22
_USUAL_LIMIT, _MOST_LISTED = 10, 100
_SHORTEST_SEARCH = 2


def read(state: State, identifier: str) -> Mapping[str, object]:
    """Tells all of a contact."""
    return _told(_find(state, identifier))


def delete(state: State, identifier: str) -> Mapping[str, object]:
    """Forgets a contact."""
    contact = _find(state, identifier)
    state.delete(contact)
    message = f"contact  ({contact.email}) has been deleted successfully"
    return {"status": "success", "message": message}


def unsubscribe(state: State, identifier: str) -> Mapping[str, object]:
    """Marks a contact."""
    state.put(attrs.evolve(_find(state, identifier), unsubscribed=True))
    return {"status": "success", "message": "Contact unsubscribed successfully"}


def listed(state: State, query: Mapping[str, str]) -> list[Mapping[str, object]]:
    """Tells all of some contacts, in the order in which they were created."""
    offset = _whole_number(query, "offset", 0)
    limit = _whole_number(query, "limit", _USUAL_LIMIT)
    if not 1 <= limit <= _MOST_LISTED:
        raise RefusedError(400, f"limit must be from 1 to {_MOST_LISTED}")
    search = query.get("search")
    if search is not None and len(search) < _SHORTEST_SEARCH:
        raise RefusedError(400, f"search must have at least {_SHORTEST_SEARCH} characters")
    found = [each for each in state.contacts().values() if _matches(each, search or "")]
    return [_told(contact) for contact in found[offset : offset + limit]]


def _find(state: State, identifier: str) -> Contact:
    if "@" in identifier:
        contact = state.find(identifier)
    elif _ID.fullmatch(identifier):
        contact = state.find_by_id(identifier)
    else:
        raise RefusedError(400, "Invalid identifier format")
    if contact is None:
        raise RefusedError(404, "Resource not found")
    return contact


def _whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise RefusedError(400, f"{name} must be a whole number from 0")
    return int(text)


def _matches(contact: Contact, search: str) -> bool:
    texts = (contact.first_name, contact.last_name, contact.email)
    return any(search.casefold() in (text or "").casefold() for text in texts)


def _told(contact: Contact) -> dict[str, object]:
    texts = {
        "firstName": contact.first_name,
        "lastName": contact.last_name,
        "company": contact.company,
    }
    return {
        "id": contact.id,
        "email": contact.email,
        **{name: text for name, text in texts.items() if text is not None},
        "customFields": {
            _made_up_id("field", name): value for name, value in contact.custom_fields.items()
        },
        "lists": sorted(contact.lists),
        "tags": [_made_up_id("tag", name) for name in sorted(contact.tags)],
        "unsubscribed": contact.unsubscribed,
        "bounced": False,
        "spam": False,
        "blocked": False,
        "dropped": False,
    }


def _made_up_id(prefix: str, name: str) -> str:
    return f"{prefix}_{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS_OF_AN_ID]}"
