"""By which columns a service's export is known, and what is nobody's."""

import csv
import io
import json
from pathlib import Path

import pytest

from sendx_async._cli.importing.recognising import presets
from sendx_async._cli.importing.recognising.recognition import (
    looks_like_header,
    recognise,
)

EXPORTS = Path(__file__).parent / "exports"
OF_FILES = {
    wanted["file"]: wanted["from"]
    for path in sorted(EXPORTS.glob("*.expected.json"))
    if (wanted := json.loads(path.read_text("utf-8")))["file"].endswith(".csv")
}


def recognised(header: str) -> str | None:
    delimiter = ";" if header.count(";") > header.count(",") else ","
    # Lines may stand before it.
    rows = list(csv.reader(io.StringIO(header, newline=""), delimiter=delimiter))[:10]
    names = max(rows, key=lambda row: looks_like_header(row, presets.all_presets()))
    preset = recognise(names, presets.all_presets())
    return None if preset is None else preset.name


@pytest.mark.parametrize("file", OF_FILES)
def test_an_export_is_known_by_its_columns(file: str) -> None:
    data = (EXPORTS / file).read_bytes()
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = data.decode(encoding, errors="replace").replace("\t", ",")
    assert recognised(text) == OF_FILES[file]


@pytest.mark.parametrize(
    "header, service",
    [
        ("Email Address,Vorname,Nachname,MEMBER_RATING,OPTIN_TIME,LEID,EUID", "mailchimp"),
        ("First Name,Email,Contact owner,Lifecycle Stage,Create Date", "hubspot"),
        ("email,firstname,hs_email_optout,lifecyclestage", "hubspot"),
        ("id,Email,Name,Description,Created (UTC),Total Spend", "stripe"),
        ("Salutation,First Name,Last Name,Email,Phone,Account Name,Mailing City", "salesforce"),
        ("Id,FirstName,LastName,Email,HasOptedOutOfEmail,Account.Name", "salesforce"),
        ("Customer ID,Username,First name,Last name,Email,Total spend,Order count", "woocommerce"),
        ("user_email,billing_first_name,billing_last_name,billing_city", "woocommerce"),
        ("EMAIL;NOM;PRENOM;SMS;VILLE", "brevo"),
        ("First Name,Last Name,Email,Accepts Marketing,Total Spent,Total Orders", "shopify"),
        ("Name,Given Name,Family Name,Group Membership,E-mail 1 - Value", "google"),
        ("Titre,Prénom,Nom,Société,Adresse de messagerie,Type de messagerie", "outlook"),
        ("Titolo,Nome,Cognome,Indirizzo posta elettronica,Tipo posta elettronica", "outlook"),
        ("First Name,Last Name,E-mail Address,E-mail 2 Address,Home Phone", "outlook"),
        ("email,active_subscription,expiry,created_at,name", "substack"),
        ("id,email,name,subscribed_to_emails,labels,products", "ghost"),
        ("Email,Status,Acquisition Source,Open Rate", "beehiiv"),
        ("Order no.,Order Date,First Name,Surname,Email,Attendee Status", "eventbrite"),
        ("#,Your email,Response Type,Start Date (UTC),Submit Date (UTC)", "typeform"),
        ("Horodateur,Adresse e-mail,Votre nom", "google-forms"),
        ("Marca temporal,Nombre,Correo electrónico", "google-forms"),
        ("id,created_time,ad_id,form_id,is_organic,email,full_name", "facebook"),
        ("$distinct_id,$properties.$email,$properties.plan", "mixpanel"),
    ],
)
def test_a_variant_is_known_too(header: str, service: str) -> None:
    assert recognised(header) == service


@pytest.mark.parametrize(
    "header",
    [
        "email,first_name",
        "id,email,first_name,last_name,created_at,updated_at,status",
        "id,email,last_name,created_date,account_id",
        "Name,Email,Phone,Company,City,Country,Tags",
        "email,first_name,last_name,state,created_at",
        "E-Mail;Vorname;Nachname;Firma;Ort",
        "user_id,email,plan,active,note",
        "Email,First Name,Last Name,Source,Status,Date Added",
        "timestamp,email,event",
        "#,Name,Email,Order Date",
        "First Name,Last Name,Email Address,Company,Position",
        "email,status,utm_source",
        "distinct_id,email,name",
    ],
)
def test_an_ordinary_table_is_nobodys(header: str) -> None:
    assert recognised(header) is None
