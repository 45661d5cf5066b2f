"""Which columns say who may be mailed, and what is proposed for them."""

import pytest

from sendx_async._cli.importing.recognising.consent import Consent, consent_of


def found(name: str, *values: object) -> Consent:
    consent = consent_of(name, values)
    assert consent is not None, name
    return consent


@pytest.mark.parametrize(
    "kind, names",
    [
        (
            "unsubscription",
            (
                "Unsubscribed|UNSUB_TIME|Unsubscribed from all email|Email Opt Out|"
                "HasOptedOutOfEmail|email_disabled|$unsubscribed|Abgemeldet am|"
                "Newsletterabmeldung|Désabonné|Désinscrit le|Baja|Canceló la suscripción|"
                "Cancelou a assinatura|Descadastrado|Disiscritto|"
                "Uitgeschreven|Afgemeld op"
            ),
        ),
        (
            "bounce",
            (
                "Bounced|Email hard bounce reason|EmailBouncedDate|Has hard bounced|Bounces|Rebote|"
                "Unzustellbar|Email address quarantined"
            ),
        ),
        ("complaint", "Complaint|Marked email as spam|Spam|Beschwerde|Plaintes|Queja|Reclami"),
        (
            "suppression",
            (
                "Email Suppressions|Blocklisted|BLACKLISTED|Do Not Contact|Blocked|Gesperrt|"
                "Liste noire|Lista negra|Zwarte lijst"
            ),
        ),
    ],
)
def test_a_column_that_says_no_is_known_by_its_name(kind: str, names: str) -> None:
    for name in names.split("|"):
        consent = found(name)
        assert (consent.kind, consent.is_refusal) == (kind, True), name
        # Nothing was seen in it yet, and what may follow isn't taken.
        assert consent.proposal(name) == ("--only", f"{name}="), name


SAYS_YES = (
    "Consent|Email Marketing Consent|Email Opt-In|DOUBLE_OPT-IN|optin|Opted In|Subscribed|"
    "subscribed_to_emails|Accepts Email Marketing|accepts_marketing|GDPR|Legal basis|"
    "Do you agree to receive our news?|Einwilligung|Werbeeinwilligung|Zustimmung|DSGVO|"
    "Consentement|RGPD|Abonné|Consentimiento|Suscrito|Consentimento|Inscrito|Consenso|"
    "Iscritto|Toestemming|Ingeschreven|SMS and email consent"
)


ASKS = (
    "Would you like to receive our emails?|May we contact you by e-mail?|Can we send you offers?|"
    "Dürfen wir dich per E-Mail kontaktieren?|Möchten Sie unsere Neuigkeiten erhalten?|"
    "Acceptez-vous de recevoir nos e-mails ?|¿Quieres recibir nuestras novedades?|"
    "Deseja receber nossas novidades?|Vuoi ricevere le nostre offerte?|"
    "Wil je onze nieuwsbrief ontvangen?"
)


def test_a_question_about_mail_says_yes_or_no() -> None:
    for name in ASKS.split("|"):
        consent = found(name, "Yes, please", "No", "no, gracias", "")
        assert consent.proposal(name) == ("--only", f"{name}=Yes, please"), name
        # What else stands in it is no answer to that.
        assert consent_of(name, ["On Mondays", "Yes"]) is None, name
    assert consent_of("Did you receive the parcel?", ["Yes", "No"]) is None


SAYS_NO = (
    "Kein Newsletter|Keine E-Mails|Nicht anschreiben|Werbesperre|Not subscribed|Don't email|"
    "No mailing|Do not send|No enviar correos|No contactar|Ne pas contacter|Ne plus solliciter|"
    "Niet mailen|Geen nieuwsbrief|Não contatar|Non contattare|Kein Einverständnis|Verstorben"
)


def test_a_name_with_a_no_in_it_is_never_taken_for_a_yes() -> None:
    for name in SAYS_NO.split("|"):
        assert found(name, "x", "").proposal(name) == ("--skip", f"{name}=x"), name
        assert found(name, "ja", "nein").proposal(name) == ("--skip", f"{name}=ja"), name
    question = "Why not subscribe to our newsletter?"
    assert found(question, "Yes", "No").proposal(question) == ()
    assert consent_of("No. of emails", ["3", "4"]) is None


def test_whatever_is_asked_about_mail_is_asked_about_consent_if_the_answers_are_yes_and_no() -> (
    None
):
    assert found("Dürfen wir dich per E-Mail nerven?", "Ja", "Nein").option == "--only"
    assert found("E-mail ok?", "no").option == "--only"
    assert consent_of("Emails opened", ["1", "0"]) is None
    assert consent_of("Which email client?", ["None", "Apple Mail", "No"]) is None


def test_a_column_that_says_yes_is_known_by_its_name() -> None:
    for name in SAYS_YES.split("|"):
        consent = found(name, "yes", "No", None, "YES")
        assert (consent.kind, consent.is_refusal) == ("consent", False), name
        assert consent.proposal(name) == ("--only", f"{name}=yes"), name


@pytest.mark.parametrize(
    "name, values, proposal",
    [
        ("Unsubscribed", ["yes", "no", "Yes", ""], "--skip Unsubscribed=yes"),
        ("Unsubscribed", [True, False, None], "--skip Unsubscribed=true"),
        ("Unsubscribed", ["", None, " "], "--only Unsubscribed="),
        ("Unsubscribed", ["No", "", "no"], "--only Unsubscribed= --only Unsubscribed=No"),
        ("UNSUB_TIME", ["2024-01-02 10:00:00", ""], "--only UNSUB_TIME="),
        ("Bounces", ["0", 3, 0], "--only Bounces= --only Bounces=0"),
        ("Suppressions", ["Hard bounce, 2024", "x" * 50], "--only Suppressions="),
        ("Consent", ["SUBSCRIBED", "NEVER_SUBSCRIBED", ""], "--only Consent=SUBSCRIBED"),
        ("Consent", [True, False], "--only Consent=true"),
        ("Consent", ["I do, please send it", "I do not"], ""),
        ("OPTIN_TIME", ["2024-01-02 10:00:00", "", "1.2.2024"], "--skip OPTIN_TIME="),
        ("opted_in", [1700000000, None], "--skip opted_in="),
        ("Newsletter", ["ja", "nein"], "--only Newsletter=ja"),
        ("Status", ["active", "unsubscribed", "bounced"], "--only Status=active"),
        ("Status", ["Subscribed", "Cleaned", "Non-Subscribed"], "--only Status=Subscribed"),
        ("State", ["active", "cancelled", "inactive"], "--only State=active"),
        ("status", ["active"], "--only status=active"),
        ("Email Status", ["Valid", "invalid"], "--only Email Status=Valid"),
        ("Subscription status", ["pending", "Active"], "--only Subscription status=Active"),
        ("Statut", ["Abonné", "Désabonné"], "--only Statut=Abonné"),
        ("Abonnementsstatus", ["Aktiv", "Abgemeldet", "?"], "--only Abonnementsstatus=Aktiv"),
        ("Order status", ["unsubscribed", "shipped"], ""),
    ],
)
def test_what_was_seen_is_proposed(name: str, values: list[object], proposal: str) -> None:
    assert " ".join(found(name, *values).proposal(name)) == proposal


@pytest.mark.parametrize(
    "name, values",
    [
        ("Status", ["Married", "single"]),
        ("Status", ["active", "on hold", "churned"]),
        ("Status", ["", None]),
        ("State", ["CA", "NY", "TX"]),
        ("Estado", ["Jalisco"]),
        ("Order status", ["cancelled", "pending"]),
        ("Account status", ["active", "inactive"]),
        ("Active", ["true", "false"]),
        ("Newsletter", ["Weekly", "Monthly"]),
        ("Newsletter", [""]),
        ("SMS Marketing Consent", ["yes", "no"]),
        ("Accepts SMS Marketing", ["yes", "no"]),
        ("HasOptedOutOfFax", ["true"]),
        ("DoNotCall", ["true"]),
        ("Subscribed at", ["2024-01-02", "2024-01-03"]),
        ("Subscription plan", ["pro"]),
        ("Email", ["jane@example.com"]),
        ("Notes", ["unsubscribed"]),
        ("Bloque", ["3 B"]),
        ("#", ["1"]),
    ],
)
def test_other_columns_are_none_of_it(name: str, values: list[object]) -> None:
    assert consent_of(name, values) is None


def test_some_of_its_values_can_be_shown() -> None:
    consent = found("Consent", *"abcdefgh", "", "A")
    assert consent.seen == ("a", "b", "c", "d", "e")
    assert found("Consent", *range(2000)).seen == ("0", "1", "2", "3", "4")
