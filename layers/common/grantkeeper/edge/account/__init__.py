"""The routes of a user's own account, a module for each kind of thing he has."""
