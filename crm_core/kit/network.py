"""Network addresses, as far as it matters who stands behind one."""

import ipaddress


def network_of(address: str) -> str:
    """The address, or the whole subscriber's network where one person has a billion of them (IPv6); IPv4 in the clothes of IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found.packed, 64), strict=False))
