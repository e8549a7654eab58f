"""Routes of the API: each module has a function `router` of a session."""
