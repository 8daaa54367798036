"""Signing keys: created, published, rotated and removed automatically (RFC 7517, RFC 7638).

    next ──lead time──▶ active ──period──▶ retiring ──last token expired──▶ removed
    published           signs              still verifies                   not published

Redis stores the keys (`auth:keys`) with encrypted private keys. One elected replica (`auth:keys:rotator`) moves them to
their next state by compare-and-swap; every replica reads them and signs from memory.
"""
