"""The HTTP side of auth-service: strict parsing of forms, errors as responses, and what all endpoints share.

uvicorn ─▶ Edge: address, trace id, limits on head and body        (security_common.edge)
─▶ RequestMetrics
─▶ HttpConventions: HEAD, CORS, x-content-type-options
─▶ PlainRoutes ──▶ /oauth2/token
─▶ FastAPI: router ─▶ dependencies (FormBody, QueryString) ─▶ handler ─▶ Response
an OAuthError ─▶ ErrorHandler: JSON or a page
"""
