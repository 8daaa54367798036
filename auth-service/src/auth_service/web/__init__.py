"""What a browser sees and keeps: pages, their words in two languages, sessions, and the keys that bind forms to them.

    handler ──▶ Pages.answer(template, language, ...) ──▶ HTML, strict CSP, no script    texts.yaml, pages.css
    cookie  ──▶ Sessions.read ──▶ Browser ──▶ sign_in: new id, old one gone ──▶ set-cookie

Nothing here knows of OAuth: the rooms `authorize` and `accounts` decide, this room shows and remembers. Keys:
`auth:session:*`.
"""
