"""FastAPI on uvicorn with uvloop and httptools: signature, JSON, answer."""

import hashlib
import hmac
import json
import os
import sys

import uvicorn
from fastapi import FastAPI, HTTPException, Request

app = FastAPI()
SECRET = os.environ["SECRET"].encode()


@app.post("/hooks/github", status_code=202)
async def hook(request: Request) -> dict[str, str]:
    body = await request.body()
    wanted = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("X-Hub-Signature-256", ""), wanted):
        raise HTTPException(401)
    return {"ref": json.loads(body)["ref"]}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error")
