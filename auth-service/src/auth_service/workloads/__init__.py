"""Workload identity: CI jobs and pods act as declared clients, with a token that their platform signs and no secret.

    auth.yaml: workload_issuers, clients.workloads ─▶ WorkloadIssuer: keys from a file or over the network
    token of the platform ─▶ signature ─▶ WORKLOAD_TOKEN_RULES ─▶ conditions of one client ─▶ accepted once ─▶ Client

The token is either the `assertion` of the grant jwt-bearer, without client authentication, or the `client_assertion` of
another grant (RFC 7523 sections 2.1 and 2.2). Nothing of it reaches a resource: the access token is the client's.
Keys: `auth:workload-token:<digest of issuer and jti>`, the tokens that were used.
"""
