// The server that benchmarks/guard_hello.py compares with: express with jose, as in their documentation.
import express from "express";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [port, issuer, audience] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(`${issuer}/keys`));
const app = express();

app.use(async (request, response, next) => {
  try {
    const token = (request.headers.authorization ?? "").replace(/^Bearer /i, "");
    const options = { issuer, audience, typ: "at+jwt", algorithms: ["RS256"] };
    const { payload } = await jwtVerify(token, keys, options);
    if (!payload.scope?.split(" ").includes("mcp.access")) return response.status(403).end();
    next();
  } catch {
    response.status(401).end();
  }
});
app.get("/hello", (_request, response) => response.type("text/plain").send("MCP OAuth2 데모에서 안녕하세요!"));
app.listen(Number(port), "127.0.0.1");
