"""``/auth/``: login of clients that know the protocol's."""

import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException

Text = Annotated[str, Form(max_length=1000)]
Password = Annotated[str, Form(min_length=1, max_length=1000)]


def router(token: str | None) -> APIRouter:
    """Routes of a server whose token is the password of everybody."""
    routes = APIRouter(prefix="/auth")

    @routes.get("/")
    def get_auth() -> dict[str, Any]:
        return {"enabled": token is not None}

    @routes.post("/token")
    def post_token(
        password: Password, username: Text = "", grant_type: Text = ""
    ) -> dict[str, str]:
        """Give the token to who has it, as a client sends what it was given by a login."""
        if token is None or not hmac.compare_digest(password.encode(), token.encode()):
            raise HTTPException(401, "give the token that the server has printed as the password")
        return {"access_token": token, "token_type": "Bearer"}

    @routes.get("/token/valid")
    def get_valid() -> dict[str, Any]:
        """Answer who has passed with a token."""
        return {"enabled": token is not None}

    return routes
