"""Columns that are called as German, French and Spanish files call them."""

import pytest

from crm_core.db import read_session
from crm_core.fields import FieldSpec, parse
from crm_core.services.admin.imports import headings
from crm_core.services.admin.imports.kinds import KINDS
from crm_core.services.admin.imports.matching import match, words_of
from crm_core.services.admin.imports.profile import Column
from crm_core.services.admin.imports.targets import targets
from crm_core.vocabulary import FieldKind


def matched(actor, entity, *names):
    with read_session() as session:
        kind = KINDS[entity]()
        return match([Column(name, 0, 0, "text") for name in names], targets(session, actor, kind), kind)


@pytest.mark.parametrize(
    ("entity", "line", "fields"),
    [
        ("account", "Firma;E-Mail;Telefon;Straße;PLZ;Ort;Land;Branche;Mitarbeiter;Umsatz", "name email phone street postcode city country industry employees revenue_minor"),
        ("account", "Raison sociale;Courriel;Téléphone;Rue;Code postal;Ville;Pays", "name email phone street postcode city country"),
        ("account", "Empresa;Correo electrónico;Teléfono;Calle;Código postal;Población;País", "name email phone street postcode city country"),
        ("contact", "Anrede;Vorname;Nachname;Firma;E-MAIL-ADRESSE;Mobil;Position", "salutation first_name last_name account_id email phone job_title"),
        ("contact", "Name;Vorname;Firma", "last_name first_name account_id"),
        ("contact", "Nom;Prénom;Société", "last_name first_name account_id"),
        ("contact", "Nombre;Apellidos;Empresa", "first_name last_name account_id"),
        ("contact", "Name;Firma", "name account_id"),
        ("lead", "Nom complet;Entreprise;Courriel;Statut", "name company email status_id"),
        ("deal", "Verkaufschance;Kunde;Betrag;Phase;Abschlussdatum;Verantwortlich", "name account_id amount_minor stage_id closed_on owner_id"),
        ("order", "Bestellnummer;Bestelldatum;Kunde;Artikel;Menge;Einzelpreis", "number ordered_at account_id line_product_id line_quantity line_price_minor"),
        ("product", "Artikelnummer;Bezeichnung;Warengruppe;Preis", "sku name category_id price_minor"),
    ],
)  # fmt: skip
def test_usual_headings_of_other_languages_match_the_usual_fields(cast, entity, line, fields):
    wanted = dict(zip(line.split(";"), fields.split(), strict=True))
    assert matched(cast["root"], entity, *wanted) == wanted


def test_a_name_of_two_words_beside_a_first_name_stays_the_whole_name(cast):
    columns = [Column("Name", 2, 2, "text", values={"Anna Meier": 1, "Li Wei": 1}), Column("Vorname", 2, 2, "text")]
    with read_session() as session:
        kind = KINDS["contact"]()
        assert match(columns, targets(session, cast["root"], kind), kind) == {"Name": "name", "Vorname": "first_name"}


def test_each_heading_names_a_field_that_exists_and_no_two_of_a_kind(cast):
    every = set()
    for entity, kind in KINDS.items():
        with read_session() as session:
            known = set(targets(session, cast["root"], kind()))
        assert set(headings.OF_KIND.get(entity, {})) <= known, entity
        every |= known
        taken = {}
        for key in known:
            for name in map(words_of, headings.names(entity, key)):
                assert taken.setdefault(name, key) == key, (entity, name)
    assert set(headings.EVERYWHERE) <= every


@pytest.mark.parametrize(
    ("text", "value"), [("Ja", True), ("Sí", True), ("vrai", True), ("Nein", False), ("falsch", False), ("FAUX", False)]
)
def test_yes_and_no_are_understood_in_these_languages(text, value):
    assert parse(FieldSpec("account", "x_yes", "Yes", FieldKind.BOOLEAN), text) is value


def test_a_german_file_comes_in_without_a_hand_on_its_columns(any_cast, imports):
    root = any_cast["root"]
    text = "Firma;Straße;PLZ;Ort;Land;Umsatz;Kunde seit\nMüller & Söhne;Hauptstr. 5;01067;Dresden;Deutschland;1.234.567,50 €;03.11.2021\n"
    done = imports.run(root, "account", text.encode("cp1252"))
    assert imports.counts(done)["created"] == 1
    row = imports.find(root, "account", ("name", "street", "postcode", "city", "revenue_minor", "customer_since"))[0]
    assert (row["name"], row["street"], row["postcode"], row["city"]) == ("Müller & Söhne", "Hauptstr. 5", "01067", "Dresden")
    assert (row["revenue_minor"], f"{row['customer_since']}") == (123456750, "2021-11-03")
    done = imports.run(root, "contact", "Vorname;Name;Firma;E-Mail\nAnna;Meier;Müller & Söhne;anna@example.com\n")
    assert [(row["name"], row["account_id.title"]) for row in imports.find(root, "contact", ("name", "account_id"))] == [
        ("Anna Meier", "Müller & Söhne")
    ]
