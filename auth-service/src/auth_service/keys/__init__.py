"""Signing keys: made, published, rotated and dropped without a person (RFC 7517, RFC 7638).

    next ──lead time──▶ active ──period──▶ retiring ──last token expired──▶ removed
     published            signs              still verifies                   gone

Redis keeps the records (`auth:keys`, private halves encrypted), one elected rotator moves them on by compare-and-swap,
every replica reads them and signs from memory.
"""
