"""What a browser sees and stores: pages in two languages, cookies and sessions, and the CSRF tokens of forms.

    handler ──▶ Pages.render(template, language, ...) ──▶ HTML, strict CSP    texts.yaml, pages.css
    cookie  ──▶ Sessions.read ──▶ Browser ──▶ Sessions.sign_in: a new id, the old session ends ──▶ set-cookie

This package contains no rules of OAuth: `authorize` and `accounts` decide, this package displays and stores. Keys:
`auth:session:*`.
"""
