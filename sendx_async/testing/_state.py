"""What the fake server holds: contacts, kept as SendX documents it, and the events it was sent."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast

import attrs

from sendx_async._core.older_pickles import reads_older_pickles
from sendx_async.testing._body import RefusedError

_INCREMENT = re.compile(r"(\+\+|--)(\d+(?:\.\d+)?)")


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(repr, cast("frozenset[object]", value)))) + "}"
    return repr(value)


def _what_is_set(held: "Contact | ReceivedEvent") -> str:
    """Write down what the fake server holds: only what has a value, and sets in one order."""
    nothing: tuple[object, ...] = (None, False, frozenset[str](), dict[str, str]())
    fields = [
        f"{field.name}={_shown(value)}"
        for field in attrs.fields(type(held))
        if (value := getattr(held, field.name)) not in nothing and (field.eq or value)
    ]
    return f"{type(held).__name__}({', '.join(fields)})"


def _frozen(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@reads_older_pickles
@attrs.frozen(kw_only=True, repr=False)
class Contact:
    """A contact as the fake server held it when you asked; it doesn't change afterwards.

    A test can write down the contact that it expects, in whole::

        assert fake.contact("jane@example.com") == Contact(email="jane@example.com", tags={"vip"})

    Attributes:
        id: The server's id, ``contact_...``; it survives a rename, and isn't compared.
        email: The address, written as it first arrived.
        first_name: The first name, or None if none was ever sent.
        last_name: The last name, or None.
        company: The company, or None.
        birthday: The birthday as ``YYYY-MM-DD``, or None.
        tags: The names of the contact's tags.
        lists: The ids of the contact's lists.
        custom_fields: The custom fields, name to value; values are strings.
        unsubscribed: Whether the contact was unsubscribed.
    """

    __module__ = "sendx_async.testing"

    id: str = attrs.field(default="", eq=False)
    email: str
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    birthday: str | None = None
    tags: frozenset[str] = attrs.field(default=frozenset(), converter=_frozen)
    lists: frozenset[str] = attrs.field(default=frozenset(), converter=_frozen)
    custom_fields: Mapping[str, str] = attrs.field(factory=dict[str, str])
    unsubscribed: bool = False

    def __repr__(self) -> str:
        return _what_is_set(self)


@attrs.frozen(kw_only=True, repr=False)
class ReceivedEvent:
    """An event that the fake server took in.

    Attributes:
        kind: ``"custom"`` or ``"revenue"``.
        contact_id: The id of the contact it belongs to.
        identifier: The address or id that the request named.
        name: The name of a custom event; None for revenue.
        data: The data of a custom event; empty if none was sent.
        amount: The amount of a revenue event; None for a custom event.
        source: The source of a revenue event, or None.
        time: Unix seconds, or None if the request left it to the server.
    """

    __module__ = "sendx_async.testing"

    kind: Literal["custom", "revenue"]
    contact_id: str
    identifier: str
    name: str | None = None
    data: Mapping[str, object] = attrs.field(factory=dict[str, object])
    amount: int | float | None = None
    source: str | None = None
    time: int | None = None

    def __repr__(self) -> str:
        return _what_is_set(self)


def fold(email: str) -> str:
    """The key under which an address is held: case doesn't matter."""
    return email.casefold()


class State:
    """Contacts and events. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self.events: list[ReceivedEvent] = []
        self._contacts: dict[str, Contact] = {}
        self._keys_by_id: dict[str, str] = {}
        self._ids_given = 0

    def contacts(self) -> dict[str, Contact]:
        """A copy of all contacts by address, in the order in which they were created."""
        return {contact.email: contact for contact in self._contacts.values()}

    def find(self, email: str) -> Contact | None:
        """The contact with this address."""
        return self._contacts.get(fold(email))

    def find_by_id(self, contact_id: str) -> Contact | None:
        """The contact with this id."""
        key = self._keys_by_id.get(contact_id)
        return None if key is None else self._contacts[key]

    def next_id(self) -> str:
        """A contact id that was never given before."""
        self._ids_given += 1
        return f"contact_{self._ids_given:022d}"

    def put(self, contact: Contact) -> None:
        """Holds this version of a contact."""
        self._contacts[fold(contact.email)] = contact
        self._keys_by_id[contact.id] = fold(contact.email)

    def delete(self, contact: Contact) -> None:
        """Forgets a contact, its id too."""
        self.remove(fold(contact.email))
        del self._keys_by_id[contact.id]

    def remove(self, key: str) -> None:
        """Forgets what is held under a folded address, which a rename has left."""
        self._contacts.pop(key, None)


@attrs.frozen(kw_only=True)
class Identify:
    """One checked identify object: what it carries, ready to be merged into a contact."""

    email: str
    new_email: str | None
    scalars: Mapping[str, str]
    tags: tuple[str, ...]
    lists: tuple[str, ...]
    custom_fields: Mapping[str, str]


class Draft:
    """The changes of one request: its later items see them, and none is kept unless all succeed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._changed: dict[str, Contact | None] = {}

    def find(self, email: str) -> Contact | None:
        """The contact with this address, changes included."""
        key = fold(email)
        return self._changed[key] if key in self._changed else self._state.find(email)

    def identify(self, item: Identify) -> None:
        """Creates or updates a contact: sets add up, scalars overwrite, ``newEmail`` renames.

        A contact that doesn't exist has nothing to rename, so it is created under ``email``.

        Raises:
            RefusedError: 422; a new address is taken, or a field to increment holds no number.
        """
        known = self.find(item.email)
        contact = known or Contact(id=self._state.next_id(), email=item.email)
        contact = attrs.evolve(
            contact,
            tags=contact.tags.union(item.tags),
            lists=contact.lists.union(item.lists),
            custom_fields=_merge_fields(contact.custom_fields, item.custom_fields),
            **cast("Mapping[str, Any]", item.scalars),
        )
        if known is not None and item.new_email:
            contact = self._rename(contact, item.new_email)
        self._changed[fold(contact.email)] = contact

    def _rename(self, contact: Contact, new_email: str) -> Contact:
        if fold(new_email) != fold(contact.email):
            if self.find(new_email) is not None:
                raise RefusedError(422, "newEmail belongs to another contact")
            self._changed[fold(contact.email)] = None
        return attrs.evolve(contact, email=new_email)

    def keep(self) -> None:
        """Makes the changes part of the state."""
        for key, contact in self._changed.items():
            if contact is None:
                self._state.remove(key)
        for contact in self._changed.values():
            if contact is not None:
                self._state.put(contact)


def _merge_fields(held: Mapping[str, str], sent: Mapping[str, str]) -> dict[str, str]:
    merged = dict(held)
    for name, value in sent.items():
        increment = _INCREMENT.fullmatch(value)
        if increment is None:
            merged[name] = value
            continue
        try:
            number = Decimal(merged.get(name) or "0")
        except InvalidOperation:
            raise RefusedError(
                422, f"customFields[{name!r}] can't be incremented: it holds no number"
            ) from None
        sign, step = increment.groups()
        merged[name] = format(number + Decimal(step) * (1 if sign == "++" else -1), "f")
    return merged
