"""Money as integer minor units (cents) of an ISO 4217 currency."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

_NO_MINOR = {
    "JPY",
    "KRW",
    "VND",
    "CLP",
    "ISK",
    "XAF",
    "XOF",
    "UGX",
    "PYG",
    "RWF",
    "KMF",
    "GNF",
    "DJF",
    "BIF",
    "VUV",
    "XPF",
}
_THREE = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


def exponent(currency: str) -> int:
    """Number of decimals of a currency: 2 for EUR, 0 for JPY, 3 for KWD."""
    code = currency.upper()
    return 0 if code in _NO_MINOR else 3 if code in _THREE else 2


MOST_MINOR = 9_000_000_000_000_000
"""The largest amount that is taken, in minor units: beyond it a browser's numbers are no longer exact."""


def most_major(currency: str) -> float:
    """The same in major units, as the bound of an input."""
    return float(MOST_MINOR // 10 ** exponent(currency))


def to_minor(amount: Decimal | float | int | str, currency: str) -> int:
    """Major units to minor units, rounded half to even. Raises ValueError on anything that is not a finite number."""
    try:
        value = Decimal(str(amount))
    except InvalidOperation as exc:
        raise ValueError(f"{amount!r} is not an amount") from exc
    if not value.is_finite():
        raise ValueError(f"{amount!r} is not an amount")
    scaled = (value * (Decimal(10) ** exponent(currency))).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    if abs(scaled) > MOST_MINOR:
        raise ValueError(f"{amount!r} is too large an amount")
    return int(scaled)


def to_major(minor: int, currency: str) -> Decimal:
    """Minor units to an exact decimal in major units."""
    return Decimal(minor) / (Decimal(10) ** exponent(currency))


def line_total(quantity: Decimal | float | int, unit_price_minor: int, discount_pct: Decimal | float | int = 0) -> int:
    """Net total of a line in minor units: quantity × price × (1 − discount), rounded once, half to even."""
    total = Decimal(str(quantity)) * unit_price_minor * (100 - Decimal(str(discount_pct))) / 100
    return int(total.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def tax_of(net_minor: int, rate_pct: Decimal | float | int) -> int:
    """Tax on a net amount in minor units, rounded half to even."""
    return int((net_minor * Decimal(str(rate_pct)) / 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
