"""The wire formats of OAuth 2.0 and OpenID Connect, pure functions."""
