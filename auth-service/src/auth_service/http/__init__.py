"""The edge: bytes become typed requests here, and typed answers become bytes, so that no other room knows ASGI.

uvicorn ─▶ limits (size, time) ─▶ real client address ─▶ CORS ─▶ router ─▶ HttpRequest ─▶ a room's handler
Answer ◀─ or OAuthError ◀─┘
"""
