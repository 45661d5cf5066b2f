"""What people call the columns of a table of contacts, by language: data only."""

from collections.abc import Mapping

WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "email": (
            "email",
            "email address",
            "mail",
            "mail address",
            "email id",
        ),
        "first_name": ("first name", "given name", "forename", "fname"),
        "last_name": ("last name", "surname", "family name", "lname"),
        "full_name": ("full name", "first and last name", "your name", "contact name"),
        "company": ("company", "company name", "organization", "organisation", "business name"),
        "tags": ("tags", "tag", "labels"),
        "lists": ("lists", "list ids"),
        "new_email": ("new email", "new email address"),
    },
    "de": {
        "email": ("E-Mail", "Mail", "E-Mail-Adresse", "Mailadresse"),
        "first_name": ("Vorname", "Vornamen"),
        "last_name": ("Nachname", "Familienname", "Zuname"),
        "full_name": (
            "Vor- und Nachname",
            "Vorname und Nachname",
            "Vorname Nachname",
            "Nachname, Vorname",
            "Name, Vorname",
            "vollständiger Name",
            "voller Name",
        ),
        "company": ("Firma", "Firmenname", "Unternehmen", "Unternehmensname", "Organisation"),
        "tags": ("Tags", "Schlagwörter", "Schlagworte", "Stichwörter", "Stichworte", "Etiketten"),
        "lists": ("Listen",),
        "new_email": ("neue E-Mail", "neue E-Mail-Adresse"),
    },
    "fr": {
        "email": (
            "e-mail",
            "mail",
            "mél",
            "courriel",
            "adresse e-mail",
            "adresse mail",
            "adresse courriel",
            "adresse électronique",
            "adresse de messagerie",
        ),
        "first_name": ("prénom", "prénoms"),
        "last_name": ("nom de famille",),
        "full_name": (
            "nom complet",
            "nom et prénom",
            "nom prénom",
            "prénom et nom",
            "prénom nom",
        ),
        "company": (
            "société",
            "entreprise",
            "compagnie",
            "organisation",
            "raison sociale",
            "nom de l'entreprise",
            "nom de la société",
            "nom de l'organisation",
        ),
        "tags": ("tags", "étiquettes", "étiquette", "mots-clés", "libellés"),
        "lists": ("listes",),
        "new_email": ("nouvel e-mail", "nouvelle adresse e-mail", "nouveau courriel"),
    },
    "es": {
        "email": (
            "e-mail",
            "mail",
            "correo",
            "correo electrónico",
            "dirección de correo",
            "dirección de correo electrónico",
            "dirección de e-mail",
            "dirección electrónica",
        ),
        "first_name": ("nombre de pila", "primer nombre"),
        "last_name": ("apellido", "apellidos", "primer apellido", "apellido paterno"),
        "full_name": (
            "nombre completo",
            "nombre y apellido",
            "nombre y apellidos",
            "nombres y apellidos",
            "apellidos y nombre",
            "apellidos, nombre",
        ),
        "company": (
            "empresa",
            "compañía",
            "organización",
            "razón social",
            "nombre de empresa",
            "nombre de la empresa",
            "nombre de la compañía",
        ),
        "tags": ("tags", "etiquetas", "etiqueta", "palabras clave"),
        "lists": ("listas",),
        "new_email": ("nuevo e-mail", "nuevo correo", "nuevo correo electrónico"),
    },
    "pt": {
        "email": (
            "e-mail",
            "mail",
            "correio eletrônico",
            "correio electrónico",
            "endereço de e-mail",
            "endereço eletrônico",
            "endereço electrónico",
            "endereço de correio eletrônico",
            "endereço de correio electrónico",
        ),
        "first_name": ("primeiro nome", "nome próprio", "prenome"),
        "last_name": ("sobrenome", "último nome", "nome de família"),
        "full_name": ("nome completo", "nome e sobrenome", "nome e apelido"),
        "company": (
            "empresa",
            "companhia",
            "organização",
            "razão social",
            "nome da empresa",
            "nome da organização",
        ),
        "tags": ("tags", "etiquetas", "etiqueta", "marcadores", "palavras-chave"),
        "lists": ("listas",),
        "new_email": ("novo e-mail", "novo endereço de e-mail"),
    },
    "it": {
        "email": (
            "e-mail",
            "mail",
            "posta elettronica",
            "indirizzo e-mail",
            "indirizzo mail",
            "indirizzo di posta elettronica",
            "indirizzo posta elettronica",
        ),
        "first_name": ("nome di battesimo",),
        "last_name": ("cognome",),
        "full_name": (
            "nome completo",
            "nome e cognome",
            "nome cognome",
            "cognome e nome",
            "cognome nome",
            "nominativo",
        ),
        "company": (
            "azienda",
            "società",
            "ditta",
            "impresa",
            "organizzazione",
            "ragione sociale",
            "nome azienda",
            "nome dell'azienda",
            "nome società",
            "nome della società",
        ),
        "tags": ("tag", "tags", "etichette", "etichetta", "parole chiave"),
        "lists": ("elenchi",),
        "new_email": ("nuova e-mail", "nuovo indirizzo e-mail"),
    },
    "nl": {
        "email": ("e-mail", "mail", "e-mailadres", "mailadres"),
        "first_name": ("voornaam", "voornamen"),
        "last_name": ("achternaam", "familienaam"),
        "full_name": (
            "volledige naam",
            "voor- en achternaam",
            "voornaam en achternaam",
            "naam en voornaam",
        ),
        "company": ("bedrijf", "bedrijfsnaam", "organisatie", "onderneming"),
        "tags": ("tags", "labels", "trefwoorden"),
        "lists": ("lijsten",),
        "new_email": ("nieuw e-mailadres", "nieuwe e-mail"),
    },
}
"""What a column is called that holds a field of a contact; ``full_name`` is no field of SendX."""

SECOND_CHOICE: Mapping[str, tuple[str, ...]] = {
    "email": (
        "email 1",
        "e-mail 1 - value",
        "primary email",
        "email primary",
        "main email",
        "work email",
        "business email",
        "personal email",
        "contact email",
        "customer email",
        "user email",
        "subscriber email",
        "your email",
        "your email address",
    ),
}
"""What holds a field only where no column has a plainer name; a "Work Email" beside an "Email"."""

NAME_WORDS: Mapping[str, str] = {
    "name": "en de",
    "nom": "fr",
    "nombre": "es",
    "nombres": "es",
    "nome": "pt it",
    "naam": "nl",
}
"""Words for a first, a last or a full name, as the other columns tell, and their languages."""

LAST_NAME_LANGUAGES = frozenset({"de", "fr", "nl"})
"""Where "name" beside a first name means the last one: "Name" and "Vorname", "Nom" and "Prénom"."""

FALSE_FRIENDS: Mapping[str, frozenset[str]] = {
    "firma": frozenset({"es", "it", "pt"}),  # a signature
    "tag": frozenset({"de"}),  # a day
    "nombre": frozenset({"fr"}),  # a number
}
"""Words that mean something else in these languages; another column tells the language."""
