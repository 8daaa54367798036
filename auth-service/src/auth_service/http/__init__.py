"""The HTTP side of auth-service: strict parsing of forms, errors as responses, and what all endpoints share.

    uvicorn ─▶ MeasuredRequests: durations by path and status                        (security_common.service)
            ─▶ HttpConventions: HEAD, CORS, x-content-type-options
            ─▶ Edge: address, trace id, limits on head and body                      (security_common.edge)
                ├▶ /oauth2/token, a PlainEndpoint ─▶ Response
                └▶ FastAPI: router ─▶ dependencies (FormBody, QueryString) ─▶ handler ─▶ Response
                       an OAuthError ─▶ ErrorHandler: JSON or a page

The rules of a step (`BODY_RULES`, `GRANT_RULES` and others) are tuples, even where there is only one rule, so that a
test can remove each rule and see that a bad input passes.
"""
