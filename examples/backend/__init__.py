"""An API of the team, behind a single-page application."""
