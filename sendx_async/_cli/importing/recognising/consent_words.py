"""How columns are called that say who may be mailed, and what stands in them: data only."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["consent", "unsubscription", "bounce", "complaint", "suppression", "status"]

REFUSALS: Mapping[Kind, tuple[str, ...]] = {
    "unsubscription": (
        *("opt out", "opt outs", "opted out", "unsub", "unsubs", "do not email", "do not mail"),
        *("donotemail", "donotmail", "email disabled", "emails disabled", "do not send"),
        *("no email", "no emails", "no mail", "no mails", "no mailing", "no newsletter"),
        *("no contactar", "no enviar", "no recibir", "opposition", "dne"),
        *("*unsubscri*", "*unsuscri*", "*optout*", "*optedout*"),
        *("*abmeldung*", "*abgemeldet*", "*abbestell*", "ausgetragen", "*austragung*"),
        *("*widerruf*", "*widerspr*"),
        *("*desabonn*", "*desinscri*", "stop email"),
        *("baja", "bajas", "*desuscri*", "*dado de baja*", "*cancelo la suscripcion*"),
        *("*descadastr*", "*desinscrit*", "*desinscric*", "cancelou inscricao"),
        *("*cancelou a assinatura*", "*cancelou a inscricao*", "*annullato l iscrizione*"),
        *("*disiscri*", "*disiscriz*", "*cancellazione iscrizione*"),
        *("*uitgeschreven*", "*uitschrijv*", "*afmeld*", "*afgemeld*"),
    ),
    "bounce": (
        *("*bounce*", "undeliverable", "invalid email", "quarantined"),
        *("*unzustellbar*", "ruckläufer", "rucklaufer"),
        *("rebond", "rebonds", "rebote", "rebotes", "rebotado", "devolvido", "rimbalzo"),
        *("rimbalzi", "onbestelbaar"),
    ),
    "complaint": (
        *("complaint", "complaints", "complained", "spam", "abuse"),
        *("beschwerde", "beschwerden", "plainte", "plaintes", "queja", "quejas", "reclamo"),
        *("reclami", "klacht", "klachten"),
    ),
    "suppression": (
        *("*suppress*", "*blocklist*", "*blacklist*", "*denylist*", "block list", "black list"),
        *("blocked", "do not contact", "donotcontact", "dnc", "is blocked", "*globalunsub*"),
        *("*werbesperre*", "*mailsperre*", "sperrvermerk", "deceased", "verstorben"),
        *("gesperrt", "*sperrliste*", "blockiert", "*robinson*"),
        *("liste noire", "lista negra", "bloqueado", "bloqueada", "lista nera"),
        *("bloccato", "zwarte lijst", "geblokkeerd"),
    ),
}
"""Columns that say no. A word between stars may be part of another; the others stand alone."""

CONSENTS: tuple[str, ...] = (
    *("opt in", "opt ins", "opted in", "subscribed", "subscribe", "is subscriber", "emailable"),
    *("accepts marketing", "accepts email", "accepts emails", "marketing permission", "gdpr"),
    *("marketing permissions", "email permission", "permission status", "can email", "mailable"),
    *("legal basis", "marketing contact", "agree to receive", "agrees to receive"),
    *("*consent*", "*optin*", "*optedin*"),
    *("permission", "*werbeerlaubnis*", "marketing allowed", "autorisation", "autoriza"),
    *("autorizo", "autorizacion", "autorizacao", "autorizzazione", "autorizzo"),
    *("*einwillig*", "*zustimmung*", "dsgvo", "*einverstanden*", "*einverstandnis*"),
    *("angemeldet", "abonniert"),
    *("rgpd", "abonne", "inscrit", "accepte", "j accepte"),
    *("suscrito", "suscrita", "acepta", "acepto"),
    *("lgpd", "inscrito", "inscrita", "aceita", "aceito"),
    *("consenso", "iscritto", "iscritta", "accetta", "accetto"),
    *("*toestemming*", "ingeschreven", "aangemeld", "akkoord"),
)
"""Columns that say yes."""

NEWSLETTERS = (
    "subscriber",
    "newsletter",
    "newsletters",
    "infolettre",
    "boletin",
    "nieuwsbrief",
    "mailing list",
)
"""Columns that say yes, if nothing but yes and no stands in them."""

NEGATIONS: tuple[str, ...] = (
    *("not", "don t", "dont", "kein", "keine", "keinen", "nicht", "ne pas", "ne plus", "pas de"),
    *("geen", "niet", "nao", "non contattare", "non inviare", "sin", "sans"),
)
"""What turns a column of consent, or of mail, into one that says no."""

CONTACTS: tuple[str, ...] = (
    *("contact", "anschreiben", "kontaktieren", "mailen", "solliciter", "contacter", "contatar"),
    *("contattare", "inviare", "werbung", "publicite", "reclame"),
)
"""What somebody doesn't want, beside mail."""

WISHES = (
    *("*receiv*", "contact you", "email you", "write to you", "keep you", "send you", "hear from"),
    *("stay in touch", "*erhalten*", "*bekommen*", "*zusenden*", "*zuschicken*", "*informier*"),
    *("*kontaktier*", "*recevoir*", "*contacter*", "*informer*", "*recib*", "*contactar*"),
    *("*schick*", "*envoy*", "*enviar*", "*inviar*", "*sturen*"),
    *("*receb*", "*ricever*", "*contattar*", "*ontvang*", "*toesturen*"),
)
"""Words of a question whether somebody wants mail, if one of ``MAIL`` or ``NEWS`` is in it too."""

NEWS = (
    *NEWSLETTERS,
    *("news", "update", "updates", "offers", "promotions", "neuigkeiten", "angebote", "infos"),
    *("informationen", "actualites", "offres", "nouvelles", "informations", "noticias", "ofertas"),
    *("novedades", "informacion", "novidades", "informacoes", "notizie", "offerte", "novita"),
    *("informazioni", "nieuws", "aanbiedingen", "informatie", "information"),
)
"""What is sent to those who want it."""

STATUSES = (
    *("status", "state", "zustand", "statut", "etat", "estado", "situacao", "stato"),
    *("*status", "*zustand", "subscription", "abonnement", "suscripcion", "inscricao"),
)
"""Columns that say something of mailing only if a word of ``MAIL_STATUSES`` stands in them."""

OTHER_CHANNELS = (
    *("sms", "mms", "phone", "phones", "telephone", "mobile", "whatsapp", "push", "fax", "call"),
    *("calls", "telefon", "handy", "telefono", "telefone", "movil", "celular", "cellulare"),
    *("telefoon", "portable", "postal", "post", "brief", "courrier", "voice", "rcs"),
)
"""What makes a column one of consent to something else than mail."""

MAIL = (
    *("email", "emails", "e mail", "e mails", "mail", "mails", "correo", "correos", "courriel"),
    *("courriels", "newsletter", "mailing"),
)

STATUS_OWNERS = (
    *MAIL,
    *("*subscri*", "member", "contact", "marketing", "*abonne*", "*suscri*", "*iscri*", "kontakt"),
)
"""Whose status it is, beside nobody's: an order's or an account's is another matter."""

YES = frozenset(
    {
        *("yes", "y", "true", "t", "1", "x", "on", "ja", "j", "wahr", "oui", "o", "vrai", "si"),
        *("s", "verdadero", "sim", "verdadeiro", "vero", "waar", "opted in", "opt in", "granted"),
        *("accepted", "agreed", "explicit", "checked"),
    }
)

NO = frozenset(
    {
        *("no", "n", "false", "f", "0", "off", "nein", "falsch", "non", "faux", "falso", "nao"),
        *("nee", "onwaar", "never", "none", "denied", "declined", "pending", "unconfirmed"),
        *("unknown", "opted out", "opt out", "not opted in", "never subscribed", "not specified"),
        *("unsubscribed", "0 0", "0 00"),
    }
)

ANSWERS = frozenset(
    {"yes", "ja", "oui", "si", "sim", "no", "nein", "non", "nao", "nee", "never", "jamais", "nunca"}
)
"""What tells by itself what an answer means, whatever follows: "Yes, please"."""

TRUTHS = frozenset({"true", "false", "wahr", "falsch", "vrai", "faux", "vero", "falso"})

MAILED = frozenset(
    {
        *(
            "active",
            "subscribed",
            "confirmed",
            "verified",
            "enabled",
            "valid",
            "deliverable",
            "aktiv",
        ),
        *("angemeldet", "actif", "abonne", "inscrit", "activo", "suscrito", "ativo", "inscrito"),
        *("attivo", "iscritto", "actief", "ingeschreven", "aangemeld", "opted in"),
    }
)
"""What a status says of those who may be mailed."""

MAIL_STATUSES = frozenset(
    {
        *("subscribed", "unsubscribed", "bounced", "cleaned", "complained", "suppressed"),
        *("blocked", "blocklisted", "blacklisted", "nonsubscribed", "unconfirmed", "transactional"),
        *("undeliverable", "unsub", "optout", "spam", "abgemeldet", "gesperrt", "desabonne"),
        *("desinscrit", "desuscrito", "descadastrado", "disiscritto", "uitgeschreven", "afgemeld"),
        *("angemeldet", "abonne", "inscrit", "suscrito", "inscrito", "iscritto", "ingeschreven"),
        *("aangemeld", "non subscribed", "opted out", "opted in", "hard bounce", "soft bounce"),
        "dado de baja",
    }
)
"""What only the status of somebody on a mailing list is called."""

STATUS_WORDS = (
    MAIL_STATUSES
    | MAILED
    | {
        *("inactive", "cancelled", "canceled", "pending", "deleted", "invalid", "disabled"),
        *("paused", "inaktiv", "gekundigt", "geloscht", "inactif", "annule", "supprime"),
        *("inactivo", "cancelado", "inativo", "inattivo", "cancellato", "inactief", "geannuleerd"),
    }
)
"""What a status of anything is called too; counts where nothing else stands in the column."""
