"""The HTTP side of auth-service: strict parsing of forms, errors as responses, and what all endpoints share.

uvicorn ─▶ MeasuredRequests: durations by path and status           (security_common.service)
─▶ Edge: address, trace id, limits on head and body         (security_common.edge)
─▶ HttpConventions: HEAD, CORS, x-content-type-options
├▶ /oauth2/token, a PlainEndpoint ─▶ Response
└▶ FastAPI: router ─▶ dependencies (FormBody, QueryString) ─▶ handler ─▶ Response
an OAuthError ─▶ ErrorHandler: JSON or a page
"""
