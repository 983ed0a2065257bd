"""What a provider record says, in words: the sections of its page."""

from __future__ import annotations

from collections.abc import Iterable

from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import PostConnect, Provider, Service

DAY = 86_400


def registering(provider: Provider, service: Service | None) -> str:
    """How an operator gets credentials, and which redirect URI he enters."""
    where = provider.registration_url or "the provider's developer console"
    if provider.protocol == "api_key":
        body = f'{{"service": "{provider.id if service is None else service.id}", "label": …, "secret": …}}'
        return (
            f"Nothing is registered. A user makes a key at <{where}>, and the client hands it over with"
            f" `POST /v1/connections {body}`."
        )
    steps = [
        f"Register an application at <{where}>.",
        f"Enter the redirect URI `https://YOUR-DOMAIN/oauth2/callback/{provider.id}`. {_redirects(provider)}",
        _enable(provider, service),
        f"`grantkeeper providers configure {provider.id} --client-id …` asks for the secret and stores it.",
    ]
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(filter(None, steps), 1))
    own = f"sign-in with {provider.display_name}" if service is None else service.display_name
    others = [other for other in _sharing(provider) if other != own]
    if others:
        text += f"\n\nThe same registration serves {_listed(others)}."
    return text


def _redirects(provider: Provider) -> str:
    rule, local = provider.redirect_uris, []
    if rule.localhost == "forbidden" and rule.loopback_ip == "forbidden":
        return "It must be https; a local run needs a tunnel."
    if rule.localhost == "allowed":
        local.append("`http://localhost:8080`")
    if rule.loopback_ip == "allowed":
        local.append("`http://127.0.0.1:8080`")
    only = " only" if len(local) == 1 else ""
    query = " A redirect URI with a query is refused." if rule.query == "forbidden" else ""
    length = "" if rule.max_length is None else f" It has at most {rule.max_length} characters."
    other = " (`make run HOST=127.0.0.1`)" if rule.localhost == "forbidden" else ""
    return f"A local run may use {' or '.join(local)}{only}{other}.{query}{length}"


def _enable(provider: Provider, service: Service | None) -> str:
    if provider.scope.parameter is None:
        return "Choose there what the application may do: this provider has no scopes to ask for."
    if service is None:
        return ""
    return "Enable there the scopes of the levels you will ask for."


def _sharing(provider: Provider) -> list[str]:
    """What else works with the same registration."""
    names = []
    for other in Catalog().all():
        if other.credentials_id == provider.credentials_id:
            names += [service.display_name for service in other.services]
            names += [f"sign-in with {other.display_name}"] if other.signin_scopes else []
    return names


def requesting(provider: Provider, service: Service | None) -> str:
    """The access levels with their scopes, and how the tokens are asked for."""
    if service is None:
        return f"Users are signed in with {_codes(provider.signin_scopes)}; no token is kept."
    if provider.protocol == "api_key":
        level = f"One level, `{service.default_access}`: whatever the key may do."
        return f"{level} The provider on keys: <{service.docs_url}>."
    rows = ["| access | scopes |", "| --- | --- |"]
    for level, scopes in service.access.items():
        default = " (default)" if level == service.default_access and len(service.access) > 1 else ""
        rows.append(f"| `{level}`{default} | {_codes(scopes) or 'as registered'} |")
    text = "\n".join(rows)
    always = (*service.base_scopes, *service.offline_scopes)
    if always:
        text += f"\n\nAlways asked for: {_codes(always)}."
    for extra in provider.scope.extra:
        text += f"\n\nA scope written `{extra.prefix}…` here is sent in `{extra.parameter}`, without that prefix."
    names = [path.name for path in provider.token_response.tokens]
    if len(names) > 1:
        asked = _codes(f"?token={name}" for name in names)
        text += f"\n\nA connection can hold several tokens, asked for by name: {asked}."
    kept = [name for name, _ in provider.token_response.metadata if name != "token_secret"]
    if kept:
        text += f"\n\nThe token call adds `metadata` with {_codes(kept)}, where the provider sent them."
    text += "".join(f"\n\n{_asked_after(step)}" for step in provider.post_connect)
    if provider.protocol == "oauth1":
        text += "\n\nThe token call answers `kind: oauth1` with `access_token` and `token_secret`."
    if service.docs_url:
        text += f"\n\nThe provider on its scopes: <{service.docs_url}>."
    return text


def _asked_after(step: PostConnect) -> str:
    needed = " Without an answer there is no connection." if step.required else ""
    values = _codes(name for name, _ in step.keep)
    return (
        f"After the connect <{step.request.url}> is asked, and {values} of each entry are kept:"
        f" `metadata.{step.request.name}` of the token call and of `GET /v1/connections/{{id}}`. A sync asks again."
        f"{needed}"
    )


def expiry(provider: Provider) -> str:
    """Lifetimes of tokens and of the whole grant."""
    if provider.protocol == "api_key":
        return (
            "A key is good until its owner withdraws it. When a caller reports a 401 for it, the connection needs a new"
            " one."
        )
    lines = [f"Access token: {_access_token(provider)}"]
    rule = provider.refresh
    if rule.supported == "never":
        lines.append("There are no refresh tokens.")
    else:
        if rule.supported == "conditional":
            lines.append(
                "Whether there is a refresh token is a setting of the application or a privilege at the provider."
            )
        lines.append(_rotation(provider))
    if rule.inactivity_days:
        lines.append(f"Unused for {rule.inactivity_days} days, the grant ends." + _keepalive(provider))
    if rule.absolute_days:
        lines.append(
            f"After {rule.absolute_days} days the user has to connect again in any case; `reconnect_by` says when."
        )
    if rule.max_live_grants_per_user:
        lines.append(
            f"At most {rule.max_live_grants_per_user} live at a time per user and application; the oldest is dropped."
        )
    return "\n".join(f"- {line}" for line in lines)


def _access_token(provider: Provider) -> str:
    default = provider.token_response.default_expires_in
    if default == "never":
        return "does not expire, unless the answer says so."
    if default == "unknown":
        return "the provider does not say when it expires. It is refreshed when a caller reports a 401."
    return f"as the answer says, {_duration(default)} otherwise."


def _rotation(provider: Provider) -> str:
    rule = provider.refresh
    if rule.rotation == "none":
        return "Refreshing keeps the refresh token."
    whether = "may replace" if rule.rotation == "optional" else "replaces"
    fate = {
        "valid": "the old one stays valid",
        "grace": f"the old one is good for some {rule.grace_seconds} seconds more"
        + (", for the same answer again" if rule.grace_answer == "same" else ""),
        "revoked": "the old one is taken to be dead at once",
    }[rule.previous_refresh_token]
    access = " The old access token stops with it." if rule.previous_access_token == "revoked" else ""
    return f"Refreshing {whether} the refresh token; {fate}.{access}"


def _keepalive(provider: Provider) -> str:
    days = provider.refresh.keepalive_days
    return f" The sweeper refreshes it every {days} days." if days and provider.refresh.supported != "never" else ""


def disconnecting(provider: Provider) -> str:
    """What becomes of the grant at the provider."""
    rule = provider.revocation
    page = f" Users withdraw access themselves at <{rule.manual_url}>." if rule.manual_url else ""
    if provider.protocol == "api_key":
        return f"The key is erased here. It stays good at the provider until its owner withdraws it.{page}"
    if rule.kind == "none":
        return f"The tokens are erased here. The provider has no call to revoke them.{page}"
    reach = {
        "token": "It ends this token and what was made from it.",
        "grant": "It ends the user's whole grant to this registration.",
        "installation": "It can end the whole installation.",
        "project_user": "It ends everything this user allowed to any client of the same project.",
    }[rule.effect]
    sparing = (
        "" if rule.effect == "token" else " It is left out while another live connection of the same account stands."
    )
    which = f" Of the tokens only {_codes(rule.tokens)} is revoked." if rule.tokens else ""
    first = " An expired token is refreshed first." if rule.requires_live_access_token else ""
    return (
        f"The connection is revoked here at once and at the provider soon after. {reach}{sparing}{which}{first}{page}"
    )


def profile_facts(provider: Provider) -> str:
    """Account id, address, picture."""
    rule = provider.profile
    if provider.protocol == "api_key":
        return "The label its user gives the key is its account."
    lines = [f"Account id: {_code(rule.id_template or ' or '.join(rule.map.get('provider_user_id', ())))}"]
    if "email" in rule.map:
        word = {
            "claim": "verified where the provider says so",
            "by_presence": "shown only when verified",
            "always_false": "never taken as verified",
        }[rule.email_verified_policy]
        lines.append(f"E-mail: {word}.")
    if rule.avatar.kind == "binary":
        lines.append(
            f"Picture: bytes at <{rule.avatar.template}>, for the token's bearer only; `avatar_url` stays empty."
            " A sync keeps it for `GET /v1/connections/{id}/avatar`, a sign-in for `GET /v1/profile/avatar`."
        )
    return "\n".join(f"- {line}" for line in lines)


def sources(provider: Provider) -> str:
    """Every source, and what nobody has verified."""
    how = "Read on the day that is named"
    if provider.protocol != "api_key":
        how += ", and tested against a double that was written from what was read"
    lines = [f"{how}. Nothing here was tried against the live provider.\n"]
    for source in provider.sources:
        doubt = "**not verified:** " if source.status == "unverified" else ""
        lines.append(f"- {doubt}{source.note} (<{source.url}>, {source.checked})")
    return "\n".join(lines)


def _duration(seconds: int) -> str:
    for size, name in ((DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0 and seconds >= size:
            number = seconds // size
            return f"{number} {name}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"


def _code(text: str) -> str:
    return f"`{text}`"


def _codes(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
