"""One module per vendor, written from the fact sheet; `DIALECTS` by key."""

from __future__ import annotations

from tests.conformance.dialects.asana import Asana
from tests.conformance.dialects.atlassian import Atlassian, Trello
from tests.conformance.dialects.box import Box
from tests.conformance.dialects.discord import Discord
from tests.conformance.dialects.dropbox import Dropbox
from tests.conformance.dialects.figma import Figma
from tests.conformance.dialects.github import GitHub, GitHubApp, GitHubAppLasting
from tests.conformance.dialects.gitlab import GitLab
from tests.conformance.dialects.google import Google
from tests.conformance.dialects.hubspot import HubSpot
from tests.conformance.dialects.linear import Linear
from tests.conformance.dialects.linkedin import LinkedIn, LinkedInPartner
from tests.conformance.dialects.microsoft import Microsoft
from tests.conformance.dialects.notion import Notion, NotionWithoutRefresh
from tests.conformance.dialects.salesforce import Salesforce
from tests.conformance.dialects.slack import Slack, SlackRotating, SlackSignIn
from tests.conformance.dialects.spotify import Spotify
from tests.conformance.dialects.trello_oauth1 import TrelloOAuth1
from tests.conformance.dialects.x import X
from tests.conformance.dialects.zoom import Zoom
from tests.conformance.vendor import Vendor

DIALECTS: dict[str, type[Vendor]] = {
    dialect.key: dialect
    for dialect in (
        Google,
        GitHub,
        GitHubApp,
        GitHubAppLasting,
        Microsoft,
        Slack,
        SlackRotating,
        SlackSignIn,
        Notion,
        NotionWithoutRefresh,
        Trello,
        TrelloOAuth1,
        Asana,
        Dropbox,
        Atlassian,
        GitLab,
        Discord,
        LinkedIn,
        LinkedInPartner,
        Zoom,
        HubSpot,
        Salesforce,
        Linear,
        Figma,
        Spotify,
        X,
        Box,
    )
}
