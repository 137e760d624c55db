"""How German, French and Spanish files call their columns, beside the English names that each kind of record has of its own. Data only.

Upper and lower case, accents and what stands between words are no matter: “E-Mail-Adresse” and “email adresse” need one entry for each way in
which the words are put together.
"""

from collections.abc import Mapping

Headings = Mapping[str, tuple[str, ...]]
"""Field key → names of the column, German, French and Spanish in this order."""

EVERYWHERE: Headings = {
    "email": (
        "E-Mail", "EMail", "E-Mail-Adresse", "EMail-Adresse", "Mailadresse", "Mail-Adresse",
        "Courriel", "Adresse e-mail", "Adresse email", "Adresse courriel", "Adresse électronique", "Adresse mail",
        "Correo", "Correo electrónico", "Dirección de correo", "Dirección de correo electrónico",
    ),
    "phone": (
        "Telefon", "Telefonnummer", "Telefon-Nr.", "Telefonnr.", "Tel.-Nr.", "Rufnummer", "Festnetz", "Handy", "Handynummer", "Mobil", "Mobiltelefon", "Mobilnummer",
        "Téléphone", "Numéro de téléphone", "N° de téléphone", "Tél.", "Téléphone portable", "Téléphone mobile", "Portable",
        "Teléfono", "Número de teléfono", "Tfno.", "Móvil", "Teléfono móvil", "Celular",
    ),
    "website": ("Webseite", "Webadresse", "Internet", "Internetseite", "Internetadresse", "Site web", "Site internet", "Sitio web", "Página web", "Web"),
    "street": (
        "Straße", "Str.", "Straße und Hausnummer", "Straße Hausnummer", "Straße/Nr.", "Straße Nr.", "Anschrift", "Adresse",
        "Rue", "N° et rue", "Adresse postale", "Calle", "Calle y número", "Dirección", "Domicilio",
    ),
    "postcode": ("PLZ", "Postleitzahl", "Code postal", "CP", "C.P.", "Código postal"),
    "city": ("Ort", "Stadt", "Wohnort", "Ortschaft", "Ville", "Localité", "Commune", "Ciudad", "Localidad", "Población", "Municipio"),
    "country": ("Land", "Staat", "Pays", "País"),
    "industry": ("Branche", "Wirtschaftszweig", "Secteur", "Secteur d'activité", "Sector", "Industria", "Sector de actividad"),
    "employees": (
        "Mitarbeiter", "Mitarbeiterzahl", "Anzahl Mitarbeiter", "Anzahl der Mitarbeiter", "Beschäftigte",
        "Effectif", "Effectifs", "Salariés", "Nombre de salariés", "Nombre d'employés", "Empleados", "Número de empleados",
    ),
    "revenue_minor": ("Umsatz", "Jahresumsatz", "Chiffre d'affaires", "CA", "CA annuel", "Facturación", "Facturación anual", "Ingresos", "Ingresos anuales"),
    "founded_year": ("Gründungsjahr", "Gegründet", "Année de création", "Année de fondation", "Año de fundación", "Fundación"),
    "job_title": ("Position", "Funktion", "Stelle", "Berufsbezeichnung", "Stellenbezeichnung", "Fonction", "Poste", "Intitulé du poste", "Cargo", "Puesto", "Función"),
    "salutation": ("Anrede", "Civilité", "Tratamiento"),
    "first_name": ("Vorname", "Prénom", "Nombre de pila", "Primer nombre"),
    "last_name": ("Nachname", "Familienname", "Zuname", "Nom de famille", "Apellido", "Apellidos"),
    "birthday": ("Geburtstag", "Geburtsdatum", "Date de naissance", "Anniversaire", "Fecha de nacimiento", "Cumpleaños"),
    "language": ("Sprache", "Langue", "Idioma"),
    "timezone": ("Zeitzone", "Fuseau horaire", "Zona horaria"),
    "source": ("Quelle", "Herkunft", "Leadquelle", "Provenance", "Origine", "Origen", "Fuente", "Procedencia"),
    "owner_id": (
        "Inhaber", "Zuständig", "Zuständiger", "Betreuer", "Verantwortlich", "Verantwortlicher", "Besitzer", "Kundenbetreuer", "Verkäufer",
        "Propriétaire", "Responsable", "Commercial", "Propietario", "Vendedor", "Comercial",
    ),
    "description": (
        "Beschreibung", "Bemerkung", "Bemerkungen", "Notiz", "Notizen", "Anmerkung", "Anmerkungen", "Kommentar",
        "Remarque", "Remarques", "Commentaire", "Commentaires", "Descripción", "Observaciones", "Notas", "Comentario", "Comentarios",
    ),
    "campaign_id": ("Kampagne", "Campagne", "Campaña"),
    "probability_pct": ("Wahrscheinlichkeit", "Abschlusswahrscheinlichkeit", "Probabilité", "Probabilidad"),
    "budget_minor": ("Budget", "Presupuesto"),
    "tax_rate_pct": ("Steuersatz", "MwSt.-Satz", "MwSt.", "Mehrwertsteuersatz", "Taux de TVA", "TVA", "Tipo de IVA", "IVA"),
}  # fmt: skip
"""What a field is called whatever the kind of record."""

_AMOUNT = ("Betrag", "Summe", "Wert", "Montant", "Valeur", "Importe", "Monto", "Valor")
_CUSTOMER = (
    "Firma", "Firmenname", "Unternehmen", "Unternehmensname", "Kunde", "Kundenname", "Organisation",
    "Société", "Nom de la société", "Entreprise", "Nom de l'entreprise", "Raison sociale", "Client", "Nom du client",
    "Empresa", "Nombre de la empresa", "Compañía", "Razón social", "Cliente", "Nombre del cliente",
)  # fmt: skip
_PERSON = ("Ansprechpartner", "Kontakt", "Kontaktperson", "Contact", "Interlocuteur", "Contacto", "Persona de contacto")
_FULL_NAME = ("Name", "Vollständiger Name", "Vor- und Nachname", "Nom", "Nom complet", "Nom et prénom", "Prénom et nom", "Nombre", "Nombre completo", "Nombre y apellidos")  # fmt: skip
_STATE = ("Status", "Zustand", "Statut", "État", "Estado")
_PRODUCT = ("Produkt", "Artikel", "Produktname", "Artikelbezeichnung", "Produit", "Article", "Nom du produit", "Producto", "Artículo", "Nombre del producto")  # fmt: skip
_PRICE = ("Preis", "Einzelpreis", "Stückpreis", "Listenpreis", "Verkaufspreis", "Prix", "Prix unitaire", "Prix de vente", "Precio", "Precio unitario", "Precio de venta")  # fmt: skip
_BEGIN = ("Beginn", "Start", "Startdatum", "Gültig ab", "Début", "Date de début", "Inicio", "Fecha de inicio")
_END = ("Ende", "Enddatum", "Gültig bis", "Fin", "Date de fin", "Fecha de fin", "Válido hasta")

OF_KIND: Mapping[str, Headings] = {
    "account": {
        "name": (*_CUSTOMER, "Nom", "Nombre", "Bezeichnung"),
        "kind": ("Typ", "Art", "Kundentyp", "Type", "Tipo"),
        "parent_id": ("Muttergesellschaft", "Mutterunternehmen", "Konzern", "Société mère", "Maison mère", "Empresa matriz", "Matriz"),
        "customer_since": ("Kunde seit", "Client depuis", "Cliente desde"),
        "customer_until": ("Kunde bis", "Client jusqu'au", "Cliente hasta"),
    },
    "contact": {
        "name": (*_FULL_NAME, *_PERSON),
        "account_id": _CUSTOMER,
        "email_2": ("E-Mail 2", "Zweite E-Mail", "E-Mail geschäftlich", "Email secondaire", "Segundo correo"),
        "phone_2": ("Telefon 2", "Zweites Telefon", "Telefon geschäftlich", "Téléphone 2", "Teléfono 2"),
    },
    "lead": {
        "name": (*_FULL_NAME, *_PERSON, "Interessent", "Prospect"),
        "company": _CUSTOMER,
        "status_id": _STATE,
        "estimated_minor": (*_AMOUNT, "Geschätzter Wert", "Valeur estimée", "Valor estimado"),
    },
    "deal": {
        "name": (
            "Geschäft", "Verkaufschance", "Chance", "Opportunität", "Bezeichnung", "Titel", "Betreff",
            "Affaire", "Opportunité", "Nom de l'affaire", "Titre", "Negocio", "Oportunidad", "Nombre del negocio", "Título",
        ),
        "account_id": _CUSTOMER,
        "contact_id": _PERSON,
        "stage_id": ("Phase", "Stufe", "Verkaufsphase", "Étape", "Etapa", "Fase", *_STATE),
        "pipeline_id": ("Vertriebspipeline", "Vertriebsprozess", "Embudo"),
        "amount_minor": (*_AMOUNT, "Auftragswert", "Volumen", "Montant HT", "Valor del negocio"),
        "created_on": ("Erstellt am", "Angelegt am", "Eröffnet am", "Date de création", "Créé le", "Fecha de creación", "Creado el"),
        "closed_on": ("Abschlussdatum", "Abgeschlossen am", "Geschlossen am", "Date de clôture", "Fecha de cierre"),
        "expected_close_on": ("Erwarteter Abschluss", "Voraussichtlicher Abschluss", "Clôture prévue", "Date de clôture prévue", "Cierre previsto", "Fecha prevista de cierre"),
        "next_step": ("Nächster Schritt", "Prochaine étape", "Próximo paso"),
        "product_id": _PRODUCT,
        "lost_reason": ("Verlustgrund", "Grund für Verlust", "Motif de perte", "Motivo de pérdida"),
        "competitor": ("Wettbewerber", "Mitbewerber", "Concurrent", "Competidor"),
    },
    "product": {
        "name": (*_PRODUCT, "Bezeichnung", "Name", "Nom", "Désignation", "Nombre"),
        "sku": ("Artikelnummer", "Artikel-Nr.", "Artikelnr.", "Produktnummer", "Référence", "Code article", "Référence produit", "Referencia", "Código", "Código de artículo"),
        "category_id": ("Kategorie", "Warengruppe", "Produktgruppe", "Catégorie", "Famille", "Categoría", "Familia"),
        "price_minor": _PRICE,
        "cost_minor": ("Kosten", "Einkaufspreis", "Coût", "Prix d'achat", "Coste", "Precio de compra"),
        "stock": ("Bestand", "Lagerbestand", "Stock", "Existencias"),
        "is_active": ("Aktiv", "Actif", "Activo"),
    },
    "order": {
        "number": (
            "Bestellnummer", "Auftragsnummer", "Bestell-Nr.", "Auftrags-Nr.", "Rechnungsnummer", "Belegnummer",
            "Numéro de commande", "N° de commande", "N° commande", "Commande", "Número de pedido", "N.º de pedido", "Pedido", "Factura",
        ),
        "account_id": _CUSTOMER,
        "contact_id": _PERSON,
        "ordered_at": ("Datum", "Bestelldatum", "Auftragsdatum", "Bestellt am", "Rechnungsdatum", "Date de commande", "Fecha", "Fecha de pedido", "Fecha del pedido"),
        "total_minor": (*_AMOUNT, "Gesamtbetrag", "Gesamtsumme", "Montant total", "Importe total"),
        "status": _STATE,
        "line_product_id": _PRODUCT,
        "line_quantity": ("Menge", "Anzahl", "Stück", "Stückzahl", "Quantité", "Qté", "Cantidad", "Unidades"),
        "line_price_minor": _PRICE,
        "line_discount_pct": ("Rabatt", "Remise", "Descuento"),
    },
    "campaign": {"name": ("Name", "Kampagne", "Nom", "Campagne", "Nombre", "Campaña"), "status": _STATE, "starts_on": _BEGIN, "ends_on": _END, "goal": ("Ziel", "Objectif", "Objetivo")},
    "promotion": {
        "name": ("Aktion", "Bezeichnung", "Nom", "Nombre", "Promoción"),
        "code": ("Gutscheincode", "Rabattcode", "Code promo", "Código", "Código de descuento"),
        "percent_off": ("Rabatt in Prozent", "Prozent", "Remise en pourcentage", "Pourcentage", "Descuento en porcentaje", "Porcentaje"),
        "amount_off_minor": (*_AMOUNT, "Rabatt", "Remise", "Descuento"),
        "min_order_minor": ("Mindestbestellwert", "Minimum de commande", "Pedido mínimo"),
        "starts_on": _BEGIN,
        "ends_on": _END,
    },
    "article": {
        "title": ("Titel", "Frage", "Überschrift", "Titre", "Question", "Título", "Pregunta"),
        "summary": ("Kurzantwort", "Antwort", "Zusammenfassung", "Réponse", "Résumé", "Respuesta", "Resumen"),
        "body": ("Inhalt", "Lösung", "Texte", "Contenu", "Contenido", "Texto", "Solución"),
        "category": ("Kategorie", "Thema", "Bereich", "Catégorie", "Rubrique", "Thème", "Categoría", "Tema"),
        "state": _STATE,
        "owner_id": ("Autor", "Auteur", "Autor"),
    },
    "user": {
        "name": (*_FULL_NAME, "Mitarbeiter", "Benutzer", "Utilisateur", "Usuario"),
        "manager_id": ("Vorgesetzter", "Vorgesetzte", "Führungskraft", "Supérieur", "Supérieur hiérarchique", "Superior", "Jefe"),
        "team_id": ("Abteilung", "Équipe", "Service", "Equipo", "Departamento"),
        "role": ("Rolle", "Rôle", "Rol"),
    },
}  # fmt: skip
"""What a field of one kind of record is called beside that: “Firma” is the name of an account and the account of a contact."""


def names(entity_key: str, field_key: str) -> tuple[str, ...]:
    """What columns for a field of a kind of record are called in the three languages."""
    return (*OF_KIND.get(entity_key, {}).get(field_key, ()), *EVERYWHERE.get(field_key, ()))
