# Both services and an embedded Valkey in one container, for demonstration only (docs/one-container.md):
#   docker build -t mcp-oauth2-demo . && docker run -p 8081:8081 -p 8082:8082 mcp-oauth2-demo
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL=
ARG CA_CERTIFICATES=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/image.sh requirements/build.lock requirements/run.lock requirements/
RUN sh requirements/image.sh dependencies run
COPY shared-security shared-security
COPY auth-service auth-service
COPY mcp-resource-service mcp-resource-service
COPY gateway-service gateway-service
COPY local-stack local-stack
RUN sh requirements/image.sh members auth-service mcp-resource-service gateway-service local-stack

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="mcp-oauth2-demo" \
      org.opencontainers.image.description="MCP OAuth2 in one container, for demonstration only" \
      org.opencontainers.image.licenses="MIT"
# A named volume gets the owner of the folder on which it is mounted.
RUN useradd --uid 65532 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app && \
    install -d -o app -g app -m 0700 /var/lib/mcp-oauth2
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AUTH_HOST=0.0.0.0 AUTH_PORT=8081 MCP_HOST=0.0.0.0 MCP_PORT=8082
USER 65532:65532
WORKDIR /var/lib/mcp-oauth2
EXPOSE 8081 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --retries=12 \
    CMD ["python", "-c", "import os, urllib.request as u; [u.urlopen(f'http://127.0.0.1:{os.environ[name]}/readyz', timeout=2) for name in ('AUTH_PORT', 'MCP_PORT')]"]
ENTRYPOINT ["local-stack"]
CMD ["run", "--in-container"]
